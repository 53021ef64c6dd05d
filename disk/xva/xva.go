// Package xva reads and writes the archives in which XenServer and XCP-ng keep
// an exported machine, as far as disks go (ocaml/xapi/stream_vdi.ml and
// importexport.ml of xen-api).
//
// An archive is a tar file. Its first member, ova.xml, describes the machine;
// what it says is output/xva's business. Behind it comes a folder for each
// disk, with its content in chunks of 1 MiB:
//
//	ova.xml
//	Ref:3/00000000
//	Ref:3/00000000.checksum      hexadecimal SHA-1 of the chunk
//	Ref:3/00000007
//	Ref:3/00000007.checksum
//
// Chunks that are zero are left out; the first and the last of a disk are
// always there. Newer hosts write XXH64 in members ".xxhash" instead, and read
// both. An export that took long has chunks of no bytes in between, which kept
// its connection alive: they use up a number and nothing else.
package xva

// DescriptionName is the name of the first member.
const DescriptionName = "ova.xml"

// MaxDescription is the largest description that is read, in bytes.
const MaxDescription = 16 << 20

// chunkSize is what a writer puts into one member, in bytes.
const chunkSize = 1 << 20

// MaxSize is the largest disk, in bytes: member numbers have eight digits, and
// they are compared as text.
const MaxSize = 100_000_000 * chunkSize

// Checksum is the kind of the checksums, which is the suffix of their members.
type Checksum string

// The kinds of checksums.
const (
	SHA1  Checksum = "checksum"
	XXH64 Checksum = "xxhash"
)
