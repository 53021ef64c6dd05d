package carve

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
		{"jpg", "JPEG image", at(0, "\xff\xd8\xff"), measureJPEG},
		{"gif", "GIF image", at(0, "GIF87a", "GIF89a"), measureGIF},
		{"png", "PNG image", at(0, "\x89PNG\r\n\x1a\n"), measurePNG},
		{"bmp", "Windows bitmap", at(13, "\x00\x28\x00\x00\x00", "\x00\x6c\x00\x00\x00", "\x00\x7c\x00\x00\x00"), measureBMP},
		{"tif", "TIFF image", at(0, "II*\x00\x08\x00\x00\x00", "MM\x00*\x00\x00\x00\x08"), measureTIFF},
		{"psd", "Photoshop image", at(0, "8BPS\x00\x01"), measurePSD},
	}
}

func media() []Type {
	return []Type{
		{"riff", "RIFF file", at(0, "RIFF"), measureRIFF},
		{"mpg", "MPEG video", at(0, "\x00\x00\x01\xba", "\x00\x00\x01\xb3"), measureMPEG},
		{"wmv", "Windows media", at(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"), measureASF},
		{"mp4", "MPEG-4 video", at(4, "ftyp", "moov", "mdat", "pnot"), measureMP4},
		{"mp3", "MP3 sound", at(0, "ID3\x02", "ID3\x03", "ID3\x04", "\xff\xfb\x90", "\xff\xfb\xb0", "\xff\xfb\xe0"), measureMP3},
		{"ogg", "Ogg media", at(0, "OggS\x00\x02"), measureOgg},
		{"flac", "FLAC sound", at(0, "fLaC"), measureFLAC},
		{"flv", "Flash video", at(0, "FLV\x01"), measureFLV},
		{"mkv", "Matroska video", at(0, "\x1a\x45\xdf\xa3"), measureEBML},
		{"woff", "web font", at(0, "wOFF", "wOF2"), measureWOFF},
		{"ttf", "TrueType font", at(0, "\x00\x01\x00\x00\x00", "OTTO\x00", "true\x00"), measureSFNT},
	}
}

func documents() []Type {
	return []Type{
		{"pdf", "PDF document", at(0, "%PDF-"), measurePDF},
		{"ole", "OLE compound file", at(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), measureOLE},
		{"htm", "HTML page", folded("<html", "<!doctype html"), measureHTML},
		{"rtf", "RTF document", at(0, "{\\rtf1"), measureRTF},
		{"ps", "PostScript document", at(0, "%!PS-Adobe"), measureMarkup},
		{"xml", "XML document", at(0, "<?xml "), measureMarkup},
		{"svg", "SVG image", at(0, "<svg "), measureMarkup},
		{"cpp", "C or C++ source", at(0, "#include"), measureSource},
		{"sh", "script", at(0, "#!/bin/", "#!/usr/", "#! /bin/", "#! /usr/"), measureScript},
	}
}

func archives() []Type {
	return []Type{
		{"zip", "zip archive", at(0, "PK\x03\x04"), measureZip},
		{"rar", "RAR archive", at(0, "Rar!\x1a\x07\x00", "Rar!\x1a\x07\x01\x00"), measureRAR},
		{"7z", "7-Zip archive", at(0, "7z\xbc\xaf\x27\x1c"), measure7z},
		{"gz", "gzip data", at(0, "\x1f\x8b\x08"), measureGzip},
		{"xz", "xz data", at(0, "\xfd7zXZ\x00"), measureXZ},
		{"zst", "Zstandard data", at(0, "\x28\xb5\x2f\xfd"), measureZstd},
		{"bz2", "bzip2 data", at(4, "1AY&SY"), measureBzip2},
		{"tar", "tar archive", at(257, "ustar"), measureTar},
		{"ar", "ar archive", at(0, "!<arch>\n"), measureAr},
		{"rpm", "RPM package", at(0, "\xed\xab\xee\xdb\x03", "\xed\xab\xee\xdb\x04"), measureRPM},
	}
}

func programs() []Type {
	return []Type{
		{"exe", "Windows program", at(0, "PE\x00\x00"), measurePE},
		{"elf", "ELF file", at(0, "\x7fELF\x01", "\x7fELF\x02"), measureELF},
		{"class", "Java class", at(0, "\xca\xfe\xba\xbe"), measureClass},
	}
}

func data() []Type {
	return []Type{
		{"sqlite", "SQLite database", at(0, "SQLite format 3\x00"), measureSQLite},
		{"pcap", "packet capture", at(0, "\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1"), measurePcap},
		{"pcapng", "packet capture", at(0, "\x0a\x0d\x0d\x0a"), measurePcapNG},
		{"hprof", "Java heap dump", at(0, "JAVA PROFILE 1.0"), measureHPROF},
		{"hive", "Windows registry hive", at(0, "regf"), measureHive},
		{"evtx", "Windows event log", at(0, "ElfFile\x00"), measureEVTX},
	}
}

func keys() []Type {
	return []Type{
		{"pem", "PEM text", at(0, "-----BEGIN "), measurePEM},
		{"der-crt", "DER certificate", at(8, "\xa0\x03\x02\x01\x02"), measureDER},
		{"der-key", "DER private key", append(at(4, "\x02\x01\x00\x30\x0d\x06\x09", "\x02\x01\x00\x30\x14\x06\x07"), append(at(3, "\x02\x01\x00\x30\x13\x06\x07"), at(2, "\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70")...)...), measurePKCS8},
		{"rsa-key", "DER private key", at(4, "\x02\x01\x00\x02\x82", "\x02\x01\x00\x02\x81"), measureDER},
		{"ec-key", "DER private key", at(2, "\x02\x01\x01\x04\x20"), measureDER},
		{"p12", "PKCS #12 keystore", at(4, "\x02\x01\x03\x30"), measureDER},
		{"jks", "Java keystore", at(0, "\xfe\xed\xfe\xed", "\xce\xce\xce\xce\x00\x00\x00\x02"), measureJKS},
		{"ssh-pub", "ssh public key", at(0, "ssh-rsa AAAA", "ssh-ed25519 AAAA", "ecdsa-sha2-nistp"), measureSSHKey},
	}
}

// superblocks are what former filesystems leave. Their sizes are those of the
// superblock alone.
func superblocks() []Type {
	return []Type{
		{"ext", "ext filesystem", aligned(56, "\x53\xef\x00\x00", "\x53\xef\x01\x00", "\x53\xef\x02\x00"), measureExtSuper},
		{"xfs", "XFS filesystem", aligned(0, "XFSB\x00\x00"), measureXFSSuper},
		{"btrfs", "btrfs filesystem", aligned(64, "_BHRfS_M"), measureBtrfsSuper},
		{"ntfs", "NTFS filesystem", aligned(3, "NTFS    "), measureBoot},
		{"exfat", "exFAT filesystem", aligned(3, "EXFAT   "), measureBoot},
		{"fat", "FAT filesystem", append(aligned(54, "FAT12   ", "FAT16   "), aligned(82, "FAT32   ")...), measureBoot},
		{"erofs", "EROFS filesystem", aligned(0, "\xe2\xe1\xf5\xe0"), measureErofsSuper},
		{"squashfs", "SquashFS filesystem", aligned(0, "hsqs"), measureSquashSuper},
		{"iso", "ISO 9660 filesystem", aligned(0, "\x01CD001\x01"), measureISO},
		{"gpt", "partition table", aligned(0, "EFI PART\x00\x00\x01\x00"), measureNamed(92)},
		{"lvm", "LVM volume", aligned(0, "LABELONE"), measureNamed(512)},
		{"luks", "LUKS volume", aligned(0, "LUKS\xba\xbe\x00"), measureLUKS},
		{"swap", "swap area", []Anchor{{Text: "SWAPSPACE2", At: 4086, Align: 4096}}, measureNamed(4096)},
		{"suspend", "hibernation image", []Anchor{{Text: "S1SUSPEND\x00", At: 4086, Align: 4096}, {Text: "S2SUSPEND\x00", At: 4086, Align: 4096}, {Text: "ULSUSPEND\x00", At: 4086, Align: 4096}, {Text: "LINHIB0001", At: 4086, Align: 4096}}, measureNamed(4096)},
		{"qcow2", "qcow2 image", at(0, "QFI\xfb\x00\x00\x00"), measureQcow2},
	}
}
