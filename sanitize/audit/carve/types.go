package carve

import "slices"

// at is an anchor at a byte of the file.
func at(off int64, texts ...string) []Anchor {
	var list []Anchor
	for _, t := range texts {
		list = append(list, Anchor{Text: t, At: off})
	}
	return list
}

// folded is an anchor that begins the file, in either case.
func folded(texts ...string) []Anchor {
	list := at(0, texts...)
	for i := range list {
		list[i].Fold = true
	}
	return list
}

// aligned is an anchor of a file that begins at a multiple of 512 bytes, as
// filesystems do.
func aligned(off int64, texts ...string) []Anchor {
	list := at(off, texts...)
	for i := range list {
		list[i].Align = 512
	}
	return list
}

// Types returns every type, in the order in which reports list them.
func Types() []Type {
	var all []Type
	for _, list := range [][]Type{images(), media(), documents(), archives(), programs(), data(), keys(), superblocks()} {
		all = append(all, list...)
	}
	return all
}

func images() []Type {
	return []Type{
		{Name: "jpg", Title: "JPEG image", Anchors: at(0, "\xff\xd8\xff"), measure: measureJPEG},
		{Name: "gif", Title: "GIF image", Anchors: at(0, "GIF87a", "GIF89a"), measure: measureGIF},
		{Name: "png", Title: "PNG image", Anchors: at(0, "\x89PNG\r\n\x1a\n"), measure: measurePNG},
		{Name: "bmp", Title: "Windows bitmap", Anchors: at(13, "\x00\x28\x00\x00\x00", "\x00\x6c\x00\x00\x00", "\x00\x7c\x00\x00\x00"), measure: measureBMP},
		{Name: "tif", Title: "TIFF image", Anchors: at(0, "II*\x00", "MM\x00*"), measure: measureTIFF},
		{Name: "psd", Title: "Photoshop image", Anchors: at(0, "8BPS\x00\x01"), measure: measurePSD},
	}
}

func media() []Type {
	return []Type{
		{Name: "riff", Title: "RIFF file", Anchors: at(0, "RIFF"), measure: measureRIFF},
		{Name: "mpg", Title: "MPEG video", Anchors: at(0, "\x00\x00\x01\xba", "\x00\x00\x01\xb3"), measure: measureMPEG},
		{Name: "wmv", Title: "Windows media", Anchors: at(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"), measure: measureASF},
		{Name: "mp4", Title: "MPEG-4 video", Anchors: at(4, "ftyp", "moov", "mdat", "pnot"), measure: measureMP4},
		{Name: "mp3", Title: "MP3 sound", Anchors: at(0, "ID3\x02", "ID3\x03", "ID3\x04", "\xff\xfb\x90", "\xff\xfb\xb0", "\xff\xfb\xe0"), measure: measureMP3},
		{Name: "ogg", Title: "Ogg media", Anchors: at(0, "OggS\x00\x02"), measure: measureOgg},
		{Name: "flac", Title: "FLAC sound", Anchors: at(0, "fLaC"), measure: measureFLAC},
		{Name: "flv", Title: "Flash video", Anchors: at(0, "FLV\x01"), measure: measureFLV},
		{Name: "mkv", Title: "Matroska video", Anchors: at(0, "\x1a\x45\xdf\xa3"), measure: measureEBML},
		{Name: "woff", Title: "web font", Anchors: at(0, "wOFF", "wOF2"), measure: measureWOFF},
		{Name: "ttf", Title: "TrueType font", Anchors: at(0, "\x00\x01\x00\x00\x00", "OTTO\x00", "true\x00"), measure: measureSFNT},
	}
}

func documents() []Type {
	return []Type{
		{Name: "pdf", Title: "PDF document", Anchors: at(0, "%PDF-"), measure: measurePDF},
		{Name: "ole", Title: "OLE compound file", Anchors: at(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), measure: measureOLE},
		{Name: "htm", Title: "HTML page", Anchors: folded("<html", "<!doctype html"), measure: measureHTML},
		{Name: "rtf", Title: "RTF document", Anchors: at(0, "{\\rtf1"), measure: measureRTF},
		{Name: "ps", Title: "PostScript document", Anchors: at(0, "%!PS-Adobe"), measure: measureMarkup},
		{Name: "xml", Title: "XML document", Anchors: at(0, "<?xml ", "<svg "), measure: measureMarkup},
		{Name: "cpp", Title: "C or C++ source", Anchors: at(0, "#include"), measure: measureSource},
		{Name: "sh", Title: "script", Anchors: at(0, "#!/bin/", "#!/usr/", "#! /bin/", "#! /usr/"), measure: measureScript},
	}
}

func archives() []Type {
	return []Type{
		{Name: "zip", Title: "zip archive", Anchors: at(0, "PK\x03\x04"), measure: measureZip},
		{Name: "rar", Title: "RAR archive", Anchors: at(0, "Rar!\x1a\x07\x00", "Rar!\x1a\x07\x01\x00"), measure: measureRAR},
		{Name: "7z", Title: "7-Zip archive", Anchors: at(0, "7z\xbc\xaf\x27\x1c"), measure: measure7z},
		{Name: "gz", Title: "gzip data", Anchors: at(0, "\x1f\x8b\x08"), measure: measureGzip},
		{Name: "xz", Title: "xz data", Anchors: at(0, "\xfd7zXZ\x00"), measure: measureXZ},
		{Name: "zst", Title: "Zstandard data", Anchors: at(0, "\x28\xb5\x2f\xfd"), measure: measureZstd},
		{Name: "bz2", Title: "bzip2 data", Anchors: at(4, "1AY&SY"), measure: measureBzip2},
		{Name: "tar", Title: "tar archive", Anchors: at(257, "ustar"), measure: measureTar},
		{Name: "ar", Title: "ar archive", Anchors: at(0, "!<arch>\n"), measure: measureAr},
		{Name: "rpm", Title: "RPM package", Anchors: at(0, "\xed\xab\xee\xdb\x03", "\xed\xab\xee\xdb\x04"), measure: measureRPM},
	}
}

func programs() []Type {
	return []Type{
		{Name: "exe", Title: "Windows program", Anchors: at(0, "PE\x00\x00"), measure: measurePE},
		{Name: "elf", Title: "ELF file", Anchors: at(0, "\x7fELF\x01", "\x7fELF\x02"), measure: measureELF},
		{Name: "class", Title: "Java class", Anchors: at(0, "\xca\xfe\xba\xbe"), measure: measureClass},
	}
}

func data() []Type {
	return []Type{
		{Name: "sqlite", Title: "SQLite database", Anchors: at(0, "SQLite format 3\x00"), measure: measureSQLite},
		{Name: "pcap", Title: "packet capture", Anchors: at(0, "\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1"), measure: measurePcap},
		{Name: "pcapng", Title: "packet capture", Anchors: at(0, "\x0a\x0d\x0d\x0a"), measure: measurePcapNG},
		{Name: "hprof", Title: "Java heap dump", Anchors: at(0, "JAVA PROFILE 1.0"), measure: measureHPROF},
		{Name: "hive", Title: "Windows registry hive", Anchors: at(0, "regf"), measure: measureHive},
		{Name: "evtx", Title: "Windows event log", Anchors: at(0, "ElfFile\x00"), measure: measureEVTX},
	}
}

func keys() []Type {
	return []Type{
		{Name: "pem", Title: "PEM text", Anchors: at(0, "-----BEGIN "), measure: measurePEM},
		{Name: "der-crt", Title: "DER certificate", Anchors: at(8, "\xa0\x03\x02\x01\x02"), measure: measureDER},
		{Name: "der-key", Title: "DER private key", Anchors: slices.Concat(at(4, "\x02\x01\x00\x30\x0d\x06\x09", "\x02\x01\x00\x30\x14\x06\x07"), at(3, "\x02\x01\x00\x30\x13\x06\x07", "\x02\x01\x00\x30\x10\x06\x07"), at(2, "\x02\x01\x00\x30\x13\x06\x07", "\x02\x01\x00\x30\x10\x06\x07", "\x02\x01\x00\x30\x05\x06\x03\x2b\x65")), measure: measurePKCS8},
		{Name: "enc-key", Title: "encrypted DER private key", Anchors: slices.Concat(at(5, pbes2), at(6, pbes2), at(7, pbes2)), measure: measureEncryptedKey},
		{Name: "rsa-key", Title: "DER private key", Anchors: at(4, "\x02\x01\x00\x02\x82", "\x02\x01\x00\x02\x81"), measure: measureDER},
		{Name: "ec-key", Title: "DER private key", Anchors: append(at(2, "\x02\x01\x01\x04\x20"), at(3, "\x02\x01\x01\x04\x30", "\x02\x01\x01\x04\x42")...), measure: measureDER},
		{Name: "p12", Title: "PKCS #12 keystore", Anchors: at(4, "\x02\x01\x03\x30"), measure: measureDER},
		{Name: "jks", Title: "Java keystore", Anchors: at(0, "\xfe\xed\xfe\xed", "\xce\xce\xce\xce\x00\x00\x00\x02"), measure: measureJKS},
		{Name: "bcfks", Title: "Bouncy Castle keystore", Anchors: append(at(10, pbes2), at(11, pbes2)...), measure: measureBCFKS},
		{Name: "kdbx", Title: "KeePass database", Anchors: at(0, "\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5"), measure: measureKDBX},
		{Name: "pgp-key", Title: "OpenPGP secret key", Anchors: append(at(7, pgpEd25519), at(8, pgpEd25519)...), measure: measurePGPKey},
		{Name: "ssh-pub", Title: "ssh public key", Anchors: at(0, "ssh-rsa AAAA", "ssh-ed25519 AAAA", "ecdsa-sha2-nistp"), measure: measureSSHKey},
	}
}

// superblocks are what former filesystems leave. Their sizes are those of the
// superblock alone.
func superblocks() []Type {
	list := []Type{
		{Name: "ext", Title: "ext filesystem", Anchors: aligned(56, "\x53\xef\x00\x00", "\x53\xef\x01\x00", "\x53\xef\x02\x00"), measure: measureExtSuper},
		{Name: "xfs", Title: "XFS filesystem", Anchors: aligned(0, "XFSB\x00\x00"), measure: measureXFSSuper},
		{Name: "btrfs", Title: "btrfs filesystem", Anchors: aligned(64, "_BHRfS_M"), measure: measureBtrfsSuper},
		{Name: "ntfs", Title: "NTFS filesystem", Anchors: aligned(3, "NTFS    "), measure: measureBoot},
		{Name: "exfat", Title: "exFAT filesystem", Anchors: aligned(3, "EXFAT   "), measure: measureBoot},
		{Name: "fat", Title: "FAT filesystem", Anchors: append(aligned(54, "FAT12   ", "FAT16   "), aligned(82, "FAT32   ")...), measure: measureBoot},
		{Name: "erofs", Title: "EROFS filesystem", Anchors: aligned(0, "\xe2\xe1\xf5\xe0"), measure: measureErofsSuper},
		{Name: "squashfs", Title: "SquashFS filesystem", Anchors: aligned(0, "hsqs"), measure: measureSquashSuper},
		{Name: "iso", Title: "ISO 9660 filesystem", Anchors: aligned(0, "\x01CD001\x01"), measure: measureISO},
		{Name: "gpt", Title: "partition table", Anchors: aligned(0, "EFI PART\x00\x00\x01\x00"), measure: measureNamed(92)},
		{Name: "dir", Title: "ext directory", Anchors: []Anchor{{Text: "\x0c\x00\x01\x02.\x00\x00\x00", At: 4, Align: 1024}, {Text: "\x0c\x00\x01\x00.\x00\x00\x00", At: 4, Align: 1024}}, measure: measureDirectory},
		{Name: "xfs-dir", Title: "XFS directory", Anchors: aligned(0, "XDB3", "XDD3", "XD2B", "XD2D"), measure: measureXFSDirectory},
		{Name: "lvm", Title: "LVM volume", Anchors: aligned(0, "LABELONE"), measure: measureNamed(512)},
		{Name: "luks", Title: "LUKS volume", Anchors: aligned(0, "LUKS\xba\xbe\x00"), measure: measureLUKS},
		{Name: "swap", Title: "swap area", Anchors: []Anchor{{Text: "SWAPSPACE2", At: 4086, Align: 4096}}, measure: measureNamed(4096)},
		{Name: "suspend", Title: "hibernation image", Anchors: []Anchor{{Text: "S1SUSPEND\x00", At: 4086, Align: 4096}, {Text: "S2SUSPEND\x00", At: 4086, Align: 4096}, {Text: "ULSUSPEND\x00", At: 4086, Align: 4096}, {Text: "LINHIB0001", At: 4086, Align: 4096}}, measure: measureNamed(4096)},
		{Name: "qcow2", Title: "qcow2 image", Anchors: at(0, "QFI\xfb\x00\x00\x00"), measure: measureQcow2},
	}
	for i := range list {
		list[i].Volume = true
	}
	return list
}
