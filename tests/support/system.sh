#!/usr/bin/env bash
# Installs the programs of the system that the tests drive: broker, browser, fonts, PDF reader, Prometheus, namespaces, encoders, speech.
set -eu
packages=(mosquitto janus chromium fonts-noto-cjk poppler-utils prometheus nftables iproute2 ffmpeg systemd simple-whip-client gcc libc6-dev postgresql coturn espeak-ng)
command -v node > /dev/null && command -v npm > /dev/null || packages+=(nodejs npm)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "tests need: ${missing[*]}; as root type: apt-get install ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=300 -qq update
# The daemons are started by the tests themselves, never by the package.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.silian && chmod +x /usr/sbin/policy-rc.d.silian
[ -e /usr/sbin/policy-rc.d ] || { mv /usr/sbin/policy-rc.d.silian /usr/sbin/policy-rc.d; made=1; }
apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "${missing[@]}"
rm -f /usr/sbin/policy-rc.d.silian
[ -z "${made:-}" ] || rm -f /usr/sbin/policy-rc.d
