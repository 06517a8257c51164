#!/bin/sh
# Node.js with Debian's Express, whose packages are unpacked beside this file and not installed. The Node.js is
# the machine's; where there is none, Debian's is unpacked here too.
here=$(cd "$(dirname "$0")" && pwd)
export NODE_PATH="$here/usr/share/nodejs"
if test -x "$here/usr/bin/node"; then
  for folder in "$here"/usr/lib/*-linux-gnu "$here"/lib/*-linux-gnu; do
    if test -d "$folder"; then LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
  done
  export LD_LIBRARY_PATH
  exec "$here/usr/bin/node" "$@"
fi
exec node "$@"
