#!/bin/sh
# Makes stand-ins for the images that envoy/Dockerfile and envoy/my-api begin with, for a machine that cannot pull
# them.
# An image that is here, or can be pulled, is left alone.
#
#   tests/images/stand-ins.sh PATH-OF-ENVOY [NAME...]
#
# Without names all of them. It needs root, Docker and debootstrap; for Rust's, Rust 1.95 by rustup with the target
# wasm32-wasip1, and the crates in this machine's cargo registry: run `cargo fetch --locked` before; for Python's,
# the modules that the Makefile puts into .cache/python.
set -eu
envoy=$1
shift
wanted=$*
here=$(cd "$(dirname "$0")/../.." && pwd)
debian=debian:bookworm-slim
rust=rust:1.95-slim-bookworm
official=envoyproxy/envoy:v1.40.0
python=python:3.11-slim-bookworm

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

# Whether somebody has to stand in for this image.
missing() {
    case " ${wanted:-$1} " in *" $1 "*) ;; *) return 1 ;; esac
    ! docker image inspect "$1" > /dev/null 2>&1 && ! docker pull --quiet "$1" 2> /dev/null
}

# import NAME CHANGE...: an image of what is in $work/image.
import() {
    name=$1
    shift
    tar --create --directory "$work/image" . | docker import "$@" - "$name"
    rm -rf "$work/image"
    echo "stands in: $name"
}

system() {
    debootstrap --variant=minbase --include="$1" bookworm "$work/image" > "$work/log" || {
        cat "$work/log"
        exit 1
    }
    rm -rf "$work/image/var/cache/apt/archives" "$work/image/var/lib/apt/lists"
}

if missing $debian; then
    system ca-certificates
    import $debian --change 'CMD ["bash"]'
fi

if missing $rust; then
    system ca-certificates,gcc,libc6-dev
    cp --archive "$(rustc +1.95.0 --print sysroot)/." "$work/image/usr/local/"
    mkdir --parents "$work/image/usr/local/cargo"
    cp --archive "${CARGO_HOME:-$HOME/.cargo}/registry" "$work/image/usr/local/cargo/registry"
    # The target is there.
    printf '#!/bin/sh\n' > "$work/image/usr/local/bin/rustup"
    chmod +x "$work/image/usr/local/bin/rustup"
    import $rust --change 'ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true' \
        --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'
fi

if missing $official; then
    system ca-certificates
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
    import $official --change 'ENTRYPOINT ["/docker-entrypoint.sh"]' \
        --change 'CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]'
fi

if missing $python; then
    system python3,python3-pip
    # The modules are there already, so pip has nothing to fetch.
    cp --archive "${BEARER_GATE_PYTHONPATH:-$here/.cache/python}/." "$work/image/usr/local/lib/python3.11/dist-packages/"
    cp --archive "$work/image/usr/local/lib/python3.11/dist-packages/bin/." "$work/image/usr/local/bin/"
    sed -i '1s|.*|#!/usr/bin/python3|' "$work/image/usr/local/bin/uvicorn"
    rm -f "$work/image"/usr/lib/python3*/EXTERNALLY-MANAGED
    import $python --change 'CMD ["python3"]'
fi
