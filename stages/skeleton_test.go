package stages

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/recipes"
)

// TestProperties puts defaults in their places and tells init of all answers'
// places: a default of the network is init's to apply.
func TestProperties(t *testing.T) {
	app := config.App{Command: []string{"/jre/bin/java", "-Xss1m", "-cp", "x.jar", "Main"}, Env: []string{"LANG=C"}}
	got := properties(&app, []recipes.Property{
		{Key: "name", Value: "Hello & Co", Env: "NAME", SystemProperty: "shop.name"},
		{Key: "secret", Env: "SECRET", Password: true},
		{Key: "colour", SystemProperty: "shop.colour"},
		{Key: "size", Value: "4", SystemProperty: "shop.size"},
		{Key: "ip", Value: "192.0.2.7/24", Network: "address"},
		{Key: "note", Value: "only in the document"},
	})
	want := []config.Property{
		{Key: "name", Value: "Hello & Co", Env: "NAME", SystemProperty: "shop.name"},
		{Key: "secret", Env: "SECRET"},
		{Key: "colour", SystemProperty: "shop.colour"},
		{Key: "size", Value: "4", SystemProperty: "shop.size"},
		{Key: "ip", Value: "192.0.2.7/24", Network: config.NetworkAddress},
		{Key: "note", Value: "only in the document"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	made := config.App{
		Command: []string{"/jre/bin/java", "-Dshop.name=Hello & Co", "-Dshop.size=4", "-Xss1m", "-cp", "x.jar", "Main"},
		Env:     []string{"LANG=C", "NAME=Hello & Co"},
	}
	if diff := cmp.Diff(made, app); diff != "" {
		t.Error(diff)
	}
}
