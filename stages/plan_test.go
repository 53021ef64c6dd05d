package stages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/recipes"
)

// TestTrainingKey resolves a recipe in two folders: a list of classes that came
// with the lock must serve in every checkout.
func TestTrainingKey(t *testing.T) {
	key := func(args string) string {
		dir := t.TempDir()
		for _, name := range []string{"app.jar", "app.conf"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "app.yaml")
		text := "apiVersion: imgbuild/v1\nname: app\nruntime: {jvm: {}}\n" +
			"app: {jar: app.jar, args: [" + args + "]}\nfiles: [{path: /etc/app.conf, source: app.conf}]\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := recipes.Resolve(recipes.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return Options{Recipe: r, Lock: &recipes.Lock{}}.TrainingKey()
	}
	if one, two := key("run"), key("run"); one != two {
		t.Errorf("the key depends on the folder: %s, %s", one, two)
	}
	if one, two := key("run"), key("walk"); one == two {
		t.Error("the key does not depend on the arguments")
	}
}
