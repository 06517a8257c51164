#!/bin/sh
# glewlwyd, by the name under which this file was put beside Debian's packages, which are unpacked
# there and not installed: its libraries and its parts are found by the variables here.
here=$(cd "$(dirname "$0")" && pwd -P)
for folder in "$here"/usr/lib/*-linux-gnu "$here"/lib/*-linux-gnu; do
  if test -d "$folder"; then LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
done
export LD_LIBRARY_PATH
export GLWD_STATIC_FILES_PATH="$here/webapp/"
export GLWD_STATIC_FILES_MIME_TYPES='[
  {"extension": ".html", "mime_type": "text/html"},
  {"extension": ".css", "mime_type": "text/css"},
  {"extension": ".js", "mime_type": "application/javascript"},
  {"extension": ".json", "mime_type": "application/json"}
]'
modules="$here/usr/lib/glewlwyd"
export GLWD_USER_MODULE_PATH="$modules/user" GLWD_USER_MIDDLEWARE_MODULE_PATH="$modules/user_middleware"
export GLWD_CLIENT_MODULE_PATH="$modules/client" GLWD_AUTH_SCHEME_MODULE_PATH="$modules/scheme"
export GLWD_PLUGIN_MODULE_PATH="$modules/plugin"
exec "$here/usr/bin/glewlwyd" --env-variables
