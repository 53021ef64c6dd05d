package ext

import "fmt"

// Inline directories begin with the number of their parent, DISK section
// "Inline Directories".
const inlineParent = 4

// inline returns the content that is stored in the record of n: in i_block,
// and what does not fit there in an attribute.
func (n *inode) inline() ([]byte, error) {
	area, _, err := n.xattrBody()
	if err != nil {
		return nil, err
	}
	b := append([]byte(nil), n.iBlock()...)
	for _, a := range area.attrs {
		if a.name == xattrInlineData {
			b = append(b, a.value...)
		}
	}
	if n.size > int64(len(b)) {
		return nil, fmt.Errorf("inode %d stores %d bytes of %d", n.num, len(b), n.size)
	}
	return b[:n.size], nil
}

// inlineEntries parses a directory in the record of n: one list of entries in
// i_block, one in the attribute.
func (f *filesystem) inlineEntries(n *inode, entry func(dirent)) error {
	b, err := n.inline()
	if err != nil {
		return err
	}
	if len(b) < iBlockLen {
		return fmt.Errorf("inline directory %d has %d bytes", n.num, len(b))
	}
	for _, list := range [][]byte{b[inlineParent:iBlockLen], b[iBlockLen:]} {
		if _, err := f.entries(n, list, entry); err != nil {
			return fmt.Errorf("reading inline directory %d: %w", n.num, err)
		}
	}
	return nil
}
