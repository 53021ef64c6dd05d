package recipes

import "reflect"

// merge lays over onto base: mappings merge, everything else replaces, and
// later wins. t is the type that the nodes will be decoded to, or nil. Where
// its keys exclude each other, one that is given in over drops the others
// from base, so that a recipe can choose another kernel than what it
// includes.
func merge(base, over *node, t reflect.Type) *node {
	if base == nil || base.kind != mappingNode || over.kind != mappingNode {
		return over
	}
	out := &node{kind: mappingNode, at: over.at}
	out.keys = append(out.keys, base.keys...)
	for _, e := range over.keys {
		dropRivals(out, e.name, t)
		merged := *e
		if old := out.get(e.name); old != nil {
			merged.value = merge(old.value, e.value, typeAt(t, e.name))
		}
		out.set(&merged)
	}
	return out
}

// dropRivals removes the keys that exclude name.
func dropRivals(n *node, name string, t reflect.Type) {
	s := structType(t)
	if s == nil {
		return
	}
	fields := fieldsOf(s)
	chosen := false
	for _, f := range fields {
		chosen = chosen || f.name == name && f.rule.choice != ""
	}
	if !chosen {
		return
	}
	for _, f := range fields {
		if f.rule.choice != "" && f.name != name {
			n.remove(f.name)
		}
	}
}

// typeAt is the type of a key of t, or nil.
func typeAt(t reflect.Type, key string) reflect.Type {
	s := structType(t)
	if s == nil {
		return nil
	}
	for _, f := range fieldsOf(s) {
		if f.name == key {
			return s.Field(f.index).Type
		}
	}
	return nil
}
