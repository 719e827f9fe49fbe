#!/bin/sh
# Make dist/cdsed_VERSION_ARCHITECTURE.deb: cdsed with all its libraries in /usr/lib/cdsed, for the Python of this
# Debian. Needs dpkg-deb, which every Debian has, and the package index.
set -eu

cd "$(dirname "$0")/.."
python=$(CDSED_SERVICE=1 packaging/find-python ${PYTHON:+"$PYTHON"})
interpreter=$(basename "$("$python" -I -c 'import os, sys; print(os.path.realpath(sys._base_executable))')")
version=$("$python" -I -c 'import re; print(re.search(r"^__version__ = \"(.+)\"", open("cdsed/_version.py").read(), re.M)[1])')
architecture=$(dpkg --print-architecture)
deb=dist/cdsed_${version}_$architecture.deb

umask 022
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$tree"
DESTDIR=$tree PREFIX=/usr UNITS=/usr/lib SYSCONF=/etc PYTHON=$python packaging/install.sh install
# Policy wants these names.
mv "$tree/usr/share/doc/cdsed/LICENSE" "$tree/usr/share/doc/cdsed/copyright"
gzip -9n "$tree/usr/share/man/man1/cdsed.1"
install -D -m 644 packaging/service.sh "$tree/usr/lib/cdsed/service.sh"

mkdir "$tree/DEBIAN"
size_kib=$(du -sk "$tree/usr" | cut -f1)
sed -e "s|@VERSION@|$version|; s|@ARCHITECTURE@|$architecture|; s|@SIZE@|$size_kib|; s|@PYTHON@|$interpreter|" \
    packaging/debian/control > "$tree/DEBIAN/control"
echo /etc/cdsed/cdsed.yml > "$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 755 "packaging/debian/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find usr -type f -exec md5sum {} +) > "$tree/DEBIAN/md5sums"
mkdir -p dist
dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$deb.new" > /dev/null
mv "$deb.new" "$deb"
echo "$deb"
