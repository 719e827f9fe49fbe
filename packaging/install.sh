#!/bin/sh
# Install cdsed below DESTDIR and PREFIX, or remove it: `make install`, `make uninstall`. `make deb` uses it too.
#
# The program gets an environment of its own, PREFIX/lib/cdsed, with the libraries that requirements.lock names, so
# that cdsed and the system's Python do not affect each other.
set -eu

cd "$(dirname "$0")/.."
DESTDIR=${DESTDIR-}
PREFIX=${PREFIX:-/usr/local}
UNITS=${UNITS:-$PREFIX/lib}
SYSCONF=${SYSCONF:-/etc}
. packaging/service.sh

program=$PREFIX/lib/cdsed
share=$DESTDIR$PREFIX/share
documents=$share/doc/cdsed
man_page=$share/man/man1/cdsed.1
bash_completion=$share/bash-completion/completions/cdsed
zsh_completion=$share/zsh/site-functions/_cdsed
[ "$PREFIX" != /usr ] || [ ! -e /etc/debian_version ] || zsh_completion=$share/zsh/vendor-completions/_cdsed
fish_completion=$share/fish/vendor_completions.d/cdsed.fish
units=$DESTDIR$UNITS/systemd/system
settings=$DESTDIR$SYSCONF/cdsed/cdsed.yml

# The environment is made beside the old one and replaces it at the end, so that a failure changes nothing.
make_environment() {
    work=$(mktemp -d)
    new=$DESTDIR$program.new
    trap 'rm -rf "$work" "$new"' EXIT
    trap 'exit 1' HUP INT TERM
    rm -rf "$new"
    "$python" -I -m venv "$work/tools"
    pip="$work/tools/bin/python -I -m pip --quiet --disable-pip-version-check"
    install="install --no-deps --no-build-isolation --use-pep517"
    $pip $install --require-hashes -r requirements-build.lock
    # --without-pip: only the libraries of the lock are installed. Of bin/, only the interpreter is used.
    "$python" -I -m venv --without-pip --symlinks "$new"
    site=$("$new/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    $pip $install --no-compile --require-hashes --target "$site" -r requirements.lock
    $pip wheel --no-deps --no-build-isolation --wheel-dir "$work" .
    $pip $install --no-compile --no-index --find-links "$work" --target "$site" --upgrade cdsed
    rm -rf "$site/bin" "$site/share"
    find "$new/bin" -type f -exec rm {} +
    sed -i '/^command/d' "$new/pyvenv.cfg"
    "$new/bin/python" -I -m compileall -q -j 0 -s "$DESTDIR$program.new" -p "$program" "$site" > "$work/compiled" ||
        echo "some files of the libraries could not be compiled; Python compiles them at their first use" >&2
    # Independent of your umask: the service's user must be able to read it.
    chmod -R u+rwX,go+rX,go-w "$new"
}

install_program() {
    mkdir -p "$DESTDIR$PREFIX/bin" "$DESTDIR$PREFIX/lib"
    make_environment
    [ -z "$for_service" ] || [ -n "$DESTDIR" ] || stop_services
    rm -rf "$DESTDIR$program.old"
    [ ! -e "$DESTDIR$program" ] || mv "$DESTDIR$program" "$DESTDIR$program.old"
    mv "$new" "$DESTDIR$program"
    rm -rf "$DESTDIR$program.old"
    sed "s|@PROGRAM@|$program|g" packaging/launcher > "$work/cdsed"
    install -m 755 "$work/cdsed" "$DESTDIR$PREFIX/bin/cdsed"
}

install_files() {
    rm -rf "$documents"
    install -d -m 755 "$documents"
    install -m 644 README.md CHANGELOG.md CONTRIBUTING.md LICENSE etc/cdsed.yml etc/accounts.example.yml "$documents"
    install -d -m 755 "$documents/docs/decisions"
    install -m 644 docs/*.md "$documents/docs"
    install -m 644 docs/decisions/*.md "$documents/docs/decisions"
    install -D -m 644 docs/cdsed.1 "$man_page"
    install -D -m 644 cdsed/completions/cdsed.bash "$bash_completion"
    install -D -m 644 cdsed/completions/_cdsed "$zsh_completion"
    install -D -m 644 cdsed/completions/cdsed.fish "$fish_completion"
    for unit in cdsed cdsed@ cdsed-scheduler cdsed-worker; do
        sed "s|/usr/bin/cdsed|$PREFIX/bin/cdsed|; s|/usr/lib/cdsed/|$program/|" "systemd/$unit.service" > "$work/unit"
        install -D -m 644 "$work/unit" "$units/$unit.service"
    done
    install -D -m 644 systemd/cdsed.sysusers.conf "$DESTDIR$UNITS/sysusers.d/cdsed.conf"
    install -D -m 644 systemd/cdsed.tmpfiles.conf "$DESTDIR$UNITS/tmpfiles.d/cdsed.conf"
    [ -e "$settings" ] || install -D -m 644 etc/cdsed.yml "$settings"
}

remove_all() {
    rm -rf "$DESTDIR$program" "$documents"
    rm -f "$DESTDIR$PREFIX/bin/cdsed" "$man_page" "$bash_completion" "$zsh_completion" "$fish_completion" \
        "$units/cdsed.service" "$units/cdsed@.service" "$units/cdsed-scheduler.service" "$units/cdsed-worker.service" \
        "$DESTDIR$UNITS/sysusers.d/cdsed.conf" "$DESTDIR$UNITS/tmpfiles.d/cdsed.conf"
    ! cmp -s etc/cdsed.yml "$settings" || rm -f "$settings"
    rmdir "$(dirname "$settings")" 2> /dev/null || true
}

case ${1-} in
    install)
        # In a home, where the service cannot use it, any Python is accepted.
        python=$(CDSED_SERVICE= packaging/find-python ${PYTHON:+"$PYTHON"})
        for_service=
        if ! "$python" -I packaging/usable_python.py --hidden "$PREFIX"; then
            for_service=1
            python=$(CDSED_SERVICE=1 packaging/find-python ${PYTHON:+"$PYTHON"})
        fi
        # The interpreter itself, e.g. python3.11: python3 may later be another version, without these libraries.
        python=$("$python" -I -c 'import os, sys; print(os.path.realpath(sys._base_executable))')
        umask 022
        install_program
        install_files
        if [ -n "$for_service" ] && [ -z "$DESTDIR" ]; then start_services; fi
        ;;
    uninstall)
        if [ -z "$DESTDIR" ] && [ -n "$(running_services)" ]; then
            echo "cdsed runs ($(running_services)): stop it first, with systemctl disable --now" >&2
            exit 1
        fi
        remove_all
        echo "Removed. Settings and accounts in $SYSCONF/cdsed, state in /var/lib/cdsed* and products in /var/spool/cdsed*" \
            "are kept."
        ;;
    *)
        echo "usage: $0 install|uninstall" >&2
        exit 64
        ;;
esac
