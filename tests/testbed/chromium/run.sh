#!/bin/sh
# Chromium or its driver, by the name under which this file was put beside Debian's packages, which
# are unpacked there and not installed: their libraries and fonts are found by the variables here.
here=$(cd "$(dirname "$0")" && pwd)
for folder in "$here"/usr/lib/*-linux-gnu "$here"/usr/lib/*-linux-gnu/pulseaudio "$here"/lib/*-linux-gnu; do
  if test -d "$folder"; then LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
done
export LD_LIBRARY_PATH
export FONTCONFIG_FILE="$here/fonts.conf"
case $(basename "$0") in
  chromium) exec "$here/usr/lib/chromium/chromium" "$@" ;;
  chromedriver) exec "$here/usr/bin/chromedriver" "$@" ;;
esac
