#!/bin/sh
# Makes stand-ins for the images that envoy/Dockerfile and envoy/my-api begin with, for a machine that cannot pull
# them.
# An image that is here, or can be pulled, is left alone.
#
#   tests/images/stand-ins.sh PATH-OF-ENVOY [NAME...]
#
# Without names all of them. It needs root, Docker and Debian's packages; for Rust's, Rust 1.95 by rustup with the
# target wasm32-wasip1, and the crates in this machine's cargo registry: run `cargo fetch --locked` before; for
# Python's, the modules that the Makefile puts into .cache/python. Debian's image takes most of the time; .cache/images
# keeps what it is made of.
set -eu
envoy=$1
shift
wanted=$*
here=$(cd "$(dirname "$0")/../.." && pwd)
kept=$here/.cache/images
debian=debian:bookworm-slim
rust=rust:1.95-slim-bookworm
official=envoyproxy/envoy:v1.40.0
python=python:3.11-slim-bookworm
# No stand-in: an image that only the tests have, by a name that nobody can publish.
store=localhost/bearer-gate-store:bookworm

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

# Whether somebody has to stand in for this image.
missing() {
    case " ${wanted:-$1} " in *" $1 "*) ;; *) return 1 ;; esac
    ! docker image inspect "$1" > /dev/null 2>&1 && ! docker pull --quiet "$1" 2> /dev/null
}

# quietly COMMAND...: what it prints is shown where it fails.
quietly() {
    "$@" > "$work/log" 2>&1 || {
        cat "$work/log"
        exit 1
    }
}

# What Debian's image is made of. debootstrap is a script: unpacked it is as good as installed.
base() {
    test ! -f "$kept/bookworm.tar" || return 0
    mkdir -p "$kept"
    program=$(command -v debootstrap || true)
    if test -z "$program"; then
        cd "$kept"
        apt-get download debootstrap > /dev/null 2>&1 || quietly apt-get update
        test -f debootstrap_*.deb || quietly apt-get download debootstrap
        dpkg-deb --extract debootstrap_*.deb .
        rm debootstrap_*.deb
        cd "$here"
        program=$kept/usr/sbin/debootstrap
        export DEBOOTSTRAP_DIR="$kept/usr/share/debootstrap"
    fi
    quietly "$program" --variant=minbase --include=ca-certificates bookworm "$work/system"
    rm -rf "$work/system/var/cache/apt/archives" "$work/system/var/lib/apt/lists"
    tar --create --file "$kept/bookworm.tar.new" --directory "$work/system" .
    mv "$kept/bookworm.tar.new" "$kept/bookworm.tar"
    rm -rf "$work/system"
}

# build NAME: an image of what is in $work/image and of the Dockerfile in the standard input, which begins with
# Debian's. What it fetches of Debian comes by this machine's network.
build() {
    mkdir -p "$work/image"
    { echo "FROM $debian"; cat; } > "$work/Dockerfile"
    tar --create --directory "$work" Dockerfile image > "$work/context"
    quietly docker build --network host --tag "$1" - < "$work/context"
    rm -rf "$work/image" "$work/context"
    echo "stands in: $1"
}

# Everything else begins with it.
wanted="${wanted:+$wanted $debian}"
if missing $debian; then
    base
    docker import --change 'CMD ["bash"]' "$kept/bookworm.tar" $debian > /dev/null
    echo "stands in: $debian"
fi

if missing $rust; then
    # What cargo compiles with, without documentation; the crates as they were fetched.
    registry=${CARGO_HOME:-$HOME/.cargo}/registry
    mkdir -p "$work/image/cargo/registry"
    cp --archive "$(rustc +1.95.0 --print sysroot)/bin" "$(rustc +1.95.0 --print sysroot)/lib" "$work/image/"
    cp --archive "$registry/cache" "$registry/index" "$work/image/cargo/registry/"
    # The target is there.
    printf '#!/bin/sh\n' > "$work/image/bin/rustup"
    chmod +x "$work/image/bin/rustup"
    build $rust << 'DOCKERFILE'
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists
COPY image /usr/local
ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true
ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
DOCKERFILE
fi

if missing $official; then
    mkdir -p "$work/image/usr/local/bin"
    install --mode 755 "$envoy" "$work/image/usr/local/bin/envoy"
    # As the official image does: Envoy runs as a user of its own.
    cat > "$work/image/docker-entrypoint.sh" << 'SCRIPT'
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ]; then
    set -- envoy "$@"
fi
exec setpriv --reuid=101 --regid=101 --clear-groups "$@"
SCRIPT
    chmod 755 "$work/image/docker-entrypoint.sh"
    build $official << 'DOCKERFILE'
COPY image /
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]
DOCKERFILE
fi

if missing $python; then
    # The modules are there already, so pip has nothing to fetch.
    modules=$work/image/lib/python3.11/dist-packages
    mkdir -p "$modules"
    cp --archive "${BEARER_GATE_PYTHONPATH:-$here/.cache/python}/." "$modules/"
    cp --archive "$modules/bin" "$work/image/bin"
    sed -i '1s|.*|#!/usr/bin/python3|' "$work/image/bin/uvicorn"
    build $python << 'DOCKERFILE'
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-pip && \
    rm -rf /var/lib/apt/lists /usr/lib/python3*/EXTERNALLY-MANAGED
COPY image /usr/local
CMD ["python3"]
DOCKERFILE
fi

if missing $store; then
    build $store << 'DOCKERFILE'
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server webdis && rm -rf /var/lib/apt/lists
COPY image /
DOCKERFILE
fi
