#!/usr/bin/env bash
# Shows that four readers of capture files no longer know Ethernet where the file says that frames keep their checksum.
#
# Seen: crates pcap-parser 0.17.0 and pcap-file 2.0.0, PyPI dpkt 1.9.8 and scapy 2.8.0, 2026-11-29.
# Guess: the last field of a pcap header is the link type, 1 for Ethernet, and each reader that knows Ethernet says so.
# Instead: only the lower 16 bits are the link type. A bit above them says that the length of the frame check sequence is
#   known, and four more bits hold it in units of two bytes, as in libpcap's pcap-savefile(5). A file of Ethernet frames
#   with their 4 bytes of checksum has 0x24000001 there, and all four readers call that the link type, 603979777. None tells
#   that the last four bytes of each packet are no data.
# Matters: some capture cards keep the checksum, and libpcap writes these bits for them. A program that compares the link
#   type with 1 refuses such a file, and one that does not compare takes the checksum for padding or for payload. Mask
#   with 0xFFFF.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cat >capture.py <<'PY'
import struct
frame = bytes.fromhex("0200000000020200000000010800").ljust(60, b"\0") + b"\x01\x02\x03\x04"
link = 1 | 1 << 26 | 2 << 28
with open("capture.pcap", "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
    file.write(struct.pack("<IIII", 1700000000, 0, len(frame), len(frame)) + frame)
PY
python3 capture.py
seen=$(
    rust 'pcap-parser = "=0.17.0"
pcap-file = "=2.0.0"' <<'RS'
use pcap_parser::{create_reader, PcapBlockOwned};
fn main() {
    let bytes = std::fs::read("capture.pcap").unwrap();
    let mut reader = create_reader(65536, &bytes[..]).unwrap();
    match reader.next().unwrap().1 {
        PcapBlockOwned::LegacyHeader(header) => println!("pcap-parser: {:?}", header.network),
        _ => panic!("no header"),
    }
    let mut reader = pcap_file::pcap::PcapReader::new(&bytes[..]).unwrap();
    let link = reader.header().datalink;
    println!("pcap-file: {link:?}, {} bytes", reader.next_packet().unwrap().unwrap().data.len());
}
RS
    python dpkt==1.9.8 scapy==2.8.0 <<'PY'
import dpkt
from scapy.utils import RawPcapReader
with open("capture.pcap", "rb") as file:
    reader = dpkt.pcap.Reader(file)
    print(f"dpkt: {reader.datalink()}, {len(next(iter(reader))[1])} bytes")
with RawPcapReader("capture.pcap") as reader:
    print(f"scapy: {reader.linktype}, {len(next(iter(reader))[0])} bytes")
PY
)
expect "$seen" <<'STATED'
pcap-parser: Linktype(603979777)
pcap-file: Unknown(603979777), 64 bytes
dpkt: 603979777, 64 bytes
scapy: 603979777, 64 bytes
STATED
