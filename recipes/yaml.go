package recipes

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a recipe file. They are far above what people write, and keep a
// hostile file from taking the machine.
const (
	maxFile  = 1 << 20 // bytes
	maxNodes = 20_000  // values after aliases are expanded
	maxDepth = 64      // nested lists and mappings
)

// newSource makes a source of a file's bytes.
func newSource(name, dir string, data []byte) *source {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	return &source{name: name, dir: dir, lines: strings.Split(text, "\n")}
}

// parseYAML reads one YAML document. It returns nil after adding to p when
// the text is not YAML at all; smaller mistakes are added to p and parsing
// goes on.
func parseYAML(src *source, data []byte, p *problems) *node {
	whole := pos{file: src, line: 1, col: 1}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) { // a zip archive's first file
		p.add(whole, "", "`imgbuild init` writes a recipe, and `app: {jar: …}` in it names the jar", "the file is a jar or another zip archive, and no recipe")
		return nil
	}
	if len(data) > maxFile {
		p.add(whole, "", "", "the file has %d bytes; a recipe has at most %d", len(data), maxFile)
		return nil
	}
	if !utf8.Valid(data) {
		p.add(whole, "", "save the file as UTF-8", "the file is not UTF-8 text")
		return nil
	}
	tokens := lexer.Tokenize(strings.Join(src.lines, "\n"))
	if tk := tooDeep(tokens); tk != nil {
		p.add(at(src, tk), "", "", "lists and mappings are nested more than %d deep", maxDepth)
		return nil
	}
	file, err := parseTokens(tokens)
	if err != nil {
		addSyntax(src, err, p)
		return nil
	}
	var docs []*ast.DocumentNode
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			docs = append(docs, doc)
		}
	}
	if len(docs) == 0 {
		p.add(whole, "", "`imgbuild init` writes a recipe to start from", "the file is empty")
		return nil
	}
	if len(docs) > 1 {
		p.add(at(src, docs[1].Body.GetToken()), "", "put each recipe in a file of its own", "the file holds more than one document")
		return nil
	}
	c := &converter{src: src, problems: p, anchors: map[string]ast.Node{}, open: map[string]bool{}}
	root := c.node(docs[0].Body, 0)
	if c.full {
		return nil
	}
	return root
}

// parseTokens guards against a panic in the library: the bytes are foreign,
// and so is the parser.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parsing YAML: %v", r)
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// tooDeep returns the token at which nesting exceeds the bound, before the
// recursive parser sees it. Nesting comes from brackets, from indentation, or
// from a run of indicators such as "- - -".
func tooDeep(tokens token.Tokens) *token.Token {
	flow, run := 0, 0
	var indents []int
	for _, tk := range tokens {
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType, token.SequenceEntryType, token.MappingKeyType,
			token.AnchorType, token.AliasType, token.TagType, token.MappingValueType:
			run++
		default:
			run = 0
		}
		for len(indents) > 0 && indents[len(indents)-1] >= tk.Position.Column {
			indents = indents[:len(indents)-1]
		}
		if flow <= 0 {
			indents = append(indents, tk.Position.Column)
		}
		if flow > maxDepth || run > maxDepth || len(indents) > 4*maxDepth {
			return tk
		}
	}
	return nil
}

// addSyntax records an error of the YAML parser at its position.
func addSyntax(src *source, err error, p *problems) {
	where := pos{file: src, line: 1, col: 1}
	message := err.Error()
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		message = syntax.Message
		if syntax.Token != nil {
			where = at(src, syntax.Token)
		}
	}
	hint := ""
	if where.line <= len(src.lines) && strings.HasPrefix(strings.TrimLeft(src.lines[where.line-1], " "), "\t") {
		hint = "indent with spaces, not with tabs"
	}
	p.add(where, "", hint, "not valid YAML: %s", message)
}

// at is the position of a token, kept inside the source.
func at(src *source, tk *token.Token) pos {
	if tk == nil || tk.Position == nil {
		return pos{file: src, line: 1, col: 1}
	}
	line := min(max(tk.Position.Line, 1), len(src.lines))
	return pos{file: src, line: line, col: max(tk.Position.Column, 1)}
}

// converter turns the syntax tree into nodes and expands aliases.
type converter struct {
	src      *source
	problems *problems
	anchors  map[string]ast.Node
	open     map[string]bool // aliases that are being expanded
	count    int
	full     bool // the bound was hit and reported
}

// node converts one value; it is never nil.
func (c *converter) node(n ast.Node, depth int) *node {
	if n == nil {
		return &node{at: pos{file: c.src, line: 1, col: 1}}
	}
	out := &node{at: at(c.src, n.GetToken())}
	if c.count++; c.count > maxNodes || depth > maxDepth {
		if !c.full {
			c.full = true
			c.problems.add(out.at, "", "", "the recipe grows beyond %d values or %d levels, with aliases expanded", maxNodes, maxDepth)
		}
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return c.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		return c.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = listNode
		for _, v := range n.Values {
			if c.full {
				return out
			}
			out.items = append(out.items, c.node(v, depth+1))
		}
	case *ast.AnchorNode:
		if n.Name != nil && n.Name.GetToken() != nil {
			c.anchors[n.Name.GetToken().Value] = n.Value
		}
		return c.node(n.Value, depth+1)
	case *ast.AliasNode:
		return c.alias(out, n, depth)
	case *ast.TagNode:
		c.problems.add(out.at, "", "remove it; the recipe's keys already have types", "the tag %s is not used in recipes", n.GetToken().Value)
		return c.node(n.Value, depth+1)
	case *ast.LiteralNode:
		out.quoted = true
		if n.Value != nil {
			out.text = n.Value.Value
		}
	case *ast.StringNode:
		out.text = n.Value
		out.quoted = n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
	case *ast.NullNode:
	default:
		out.text = n.GetToken().Value
	}
	return out
}

// mapping converts the entries of a mapping and reports doubles.
func (c *converter) mapping(out *node, values []*ast.MappingValueNode, depth int) *node {
	out.kind = mappingNode
	var merged []*entry
	first := map[string]pos{}
	for i, v := range values {
		if c.full {
			return out
		}
		if i == 0 && v.Key != nil {
			out.at = at(c.src, v.Key.GetToken())
		}
		if v.Key != nil && v.Key.Type() == ast.MergeKeyType {
			from := c.node(v.Value, depth+1)
			if from.kind != mappingNode {
				c.problems.add(from.at, "", "", "<< wants a mapping, found %s", from.what())
			}
			merged = append(merged, from.keys...)
			continue
		}
		key := c.node(keyNode(v.Key), depth+1)
		e := &entry{name: key.text, at: key.at}
		if key.kind != scalarNode || key.text == "" {
			c.problems.add(key.at, "", "", "a key is plain text, found %s", key.what())
			continue
		}
		e.value = c.node(v.Value, depth+1)
		if strings.HasPrefix(e.name, "x-") {
			continue
		}
		if other, ok := first[e.name]; ok {
			c.problems.add(e.at, "", fmt.Sprintf("keep one; the other stands in line %d", other.line), "the key `%s` is given twice", e.name)
			continue
		}
		first[e.name] = e.at
		out.keys = append(out.keys, e)
	}
	for _, e := range merged {
		if _, ok := first[e.name]; !ok {
			first[e.name] = e.at
			out.keys = append(out.keys, e)
		}
	}
	return out
}

// keyNode unwraps an explicit key ("? key").
func keyNode(key ast.MapKeyNode) ast.Node {
	if k, ok := key.(*ast.MappingKeyNode); ok {
		return k.Value
	}
	return key
}

// alias expands *name.
func (c *converter) alias(out *node, n *ast.AliasNode, depth int) *node {
	name := ""
	if n.Value != nil && n.Value.GetToken() != nil {
		name = n.Value.GetToken().Value
	}
	target, ok := c.anchors[name]
	if !ok {
		c.problems.add(out.at, "", "an anchor &"+name+" must stand before it", "the alias *%s has no anchor", name)
		out.text, out.quoted = "*"+name, true
		return out
	}
	if c.open[name] {
		c.problems.add(out.at, "", "", "the alias *%s stands inside its own anchor", name)
		return out
	}
	c.open[name] = true
	defer delete(c.open, name)
	expanded := c.node(target, depth+1)
	expanded.at = out.at
	return expanded
}
