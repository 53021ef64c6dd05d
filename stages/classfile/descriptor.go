package classfile

import "strings"

// appendTypes appends the types that a descriptor or a signature names. Text
// that is neither adds nothing.
func appendTypes(types []string, text string) []string {
	s := scanner{text: text, types: types}
	if !s.whole() {
		return types
	}
	return s.types
}

// scanner reads a descriptor or signature. Descriptors are signatures without
// type variables and arguments, so one grammar serves (4.7.9.1).
type scanner struct {
	text  string
	types []string
	depth int
}

// maxDepth bounds how far type arguments may be nested.
const maxDepth = 100

// whole reads a signature of a class, a method or a field to its end.
func (s *scanner) whole() bool {
	if s.take('<') && !s.parameters() {
		return false
	}
	if s.take('(') {
		for !s.take(')') {
			if !s.typ() {
				return false
			}
		}
		if !s.take('V') && !s.typ() {
			return false
		}
		for s.take('^') {
			if !s.typ() {
				return false
			}
		}
		return s.text == ""
	}
	// A class's signature is its superclass and interfaces one after the
	// other; a field's is one type.
	for s.typ() {
		if s.text == "" {
			return true
		}
	}
	return false
}

// parameters reads type parameters behind their '<': each a name and bounds.
func (s *scanner) parameters() bool {
	for !s.take('>') {
		name := strings.IndexByte(s.text, ':')
		if name <= 0 {
			return false
		}
		s.text = s.text[name:]
		for s.take(':') {
			if strings.HasPrefix(s.text, ":") {
				continue // no class bound before an interface bound
			}
			if !s.typ() {
				return false
			}
		}
	}
	return true
}

// typ reads one type.
func (s *scanner) typ() bool {
	for s.take('[') {
	}
	switch {
	case s.text == "":
		return false
	case strings.IndexByte("BCDFIJSZ", s.text[0]) >= 0:
		s.text = s.text[1:]
		return true
	case s.take('T'):
		end := strings.IndexByte(s.text, ';')
		if end <= 0 || strings.ContainsAny(s.text[:end], "/<>[(:") {
			return false
		}
		s.text = s.text[end+1:]
		return true
	case s.take('L'):
		return s.class("")
	}
	return false
}

// class reads a class type behind its 'L', or an inner one behind the '.' that
// follows its outer class.
func (s *scanner) class(outer string) bool {
	end := strings.IndexAny(s.text, ";<.")
	if end <= 0 || strings.ContainsAny(s.text[:end], "[(:) ") {
		return false
	}
	name := outer + s.text[:end]
	s.text = s.text[end:]
	if s.take('<') && !s.arguments() {
		return false
	}
	if s.take('.') {
		return s.class(name + "$")
	}
	s.types = append(s.types, name)
	return s.take(';')
}

// arguments reads type arguments behind their '<'.
func (s *scanner) arguments() bool {
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxDepth {
		return false
	}
	for !s.take('>') {
		if s.take('*') {
			continue
		}
		if !s.take('+') {
			s.take('-')
		}
		if !s.typ() {
			return false
		}
	}
	return true
}

func (s *scanner) take(c byte) bool {
	if s.text == "" || s.text[0] != c {
		return false
	}
	s.text = s.text[1:]
	return true
}
