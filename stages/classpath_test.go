package stages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/imgbuild/imgbuild/fault"
)

// jdepsSays is what jdeps 17 prints for an app that lacks classes.
const jdepsSays = `all.jar -> java.base
all.jar -> not found
   org.example.User                                   -> io.other.channel.epoll.Epoll                       not found
   org.example.User                                   -> io.other.channel.Channel                           not found
   org.example.User                                   -> io.other.channels.Set                              not found
   org.example.Admin                                  -> io.other.channel.Channel                           not found
   org.example.Admin                                  -> Unnamed                                            not found
   org.example.Admin                                  -> org.optional.deep.Thing                            not found
`

func TestMissingClasses(t *testing.T) {
	got := missingClasses(jdepsSays, []string{"org.optional.*", "io.other.channels.Set"})
	want := [][2]string{
		{"io.other.channel.epoll.Epoll", "org.example.User"},
		{"io.other.channel.Channel", "org.example.User"},
		{"Unnamed", "org.example.Admin"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("missing classes (-want +got):\n%s", diff)
	}
	if got := missingClasses("all.jar -> java.base\n", nil); got != nil {
		t.Errorf("missing classes of a whole app: %v", got)
	}
}

// TestErrMissing takes the hint's patterns at their word: with them in the
// recipe, nothing is missing any more.
func TestErrMissing(t *testing.T) {
	err := errMissing(missingClasses(jdepsSays, nil))
	if fault.KindOf(err) != fault.Input {
		t.Errorf("kind %d, want %d", fault.KindOf(err), fault.Input)
	}
	hints := fault.HintsOf(err)
	hint := hints[len(hints)-1]
	_, list, _ := strings.Cut(hint, "app.missing: [")
	patterns := strings.Split(strings.TrimSuffix(list, "]"), ", ")
	want := []string{"Unnamed", "io.other.channel.*", "io.other.channels.*", "org.optional.deep.*"}
	if diff := cmp.Diff(want, patterns); diff != "" {
		t.Errorf("patterns of the hint (-want +got):\n%s", diff)
	}
	if rest := missingClasses(jdepsSays, patterns); rest != nil {
		t.Errorf("with the hint's patterns, still missing: %v", rest)
	}
}
