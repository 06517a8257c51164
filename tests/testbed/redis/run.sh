#!/bin/sh
# Runs a program of what the Makefile has unpacked beside this file: run PROGRAM ARGUMENTS.
here=$(dirname "$0")
program=$1
shift
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*) exec "$here/usr/bin/$program" "$@"
