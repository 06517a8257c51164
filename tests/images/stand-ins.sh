#!/bin/sh
# Makes stand-ins for the images that envoy/Dockerfile begins with, for a machine that cannot pull them.
# An image that is here, or can be pulled, is left alone.
#
#   tests/images/stand-ins.sh PATH-OF-ENVOY
#
# It needs root, Docker, debootstrap, and Rust 1.95 by rustup with the target
# wasm32-wasip1. Crates come from this machine's cargo registry: run `cargo fetch --locked` before.
set -eu
envoy=$1
debian=debian:bookworm-slim
rust=rust:1.95-slim-bookworm
official=envoyproxy/envoy:v1.40.0

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

# Whether somebody has to stand in for this image.
missing() {
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
