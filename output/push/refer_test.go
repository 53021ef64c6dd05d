package push_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/push"
)

// referrers is a registry that lists attachments itself.
func referrers(t *testing.T) http.Handler {
	t.Helper()
	r := olareg.New(config.Config{Storage: config.ConfigStorage{StoreType: config.StoreMem}})
	t.Cleanup(func() { r.Close() })
	return r
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// get reads an index from a registry, and how the registry answered.
func get(t *testing.T, url string) (index ocispec.Index, status int) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", ocispec.MediaTypeImageIndex)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || json.Unmarshal(text, &index) != nil {
		t.Logf("%s answers %s %s", url, resp.Status, text)
	}
	return index, resp.StatusCode
}

// TestAttach attaches two files, one after the other and again, at a registry
// that lists them and at one that does not.
func TestAttach(t *testing.T) {
	report, disk := write(t, "audit.sarif", "{}"), write(t, "hello.raw", "disk")
	image := exported(t)
	for name, c := range map[string]struct {
		addr, list string
	}{
		"api": {serve(t, referrers(t)), "/referrers/"},
		"tag": {outputtest.Registry(t, ""), "/manifests/"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := c.addr + "/team/hello"
			o := push.Options{Paths: []string{image}, Reference: repo + ":1", Attach: []push.Attachment{{Path: report}}}
			r := run(t, o)
			o.Attach = append(o.Attach, push.Attachment{Path: disk, Type: "application/vnd.example.disk"})
			run(t, o)
			again := run(t, o)

			tag := strings.Replace(r.Digest, ":", "-", 1)
			where := r.Digest
			if name == "tag" {
				where = tag
			}
			list, _ := get(t, "http://"+c.addr+"/v2/team/hello"+c.list+where)
			got := map[string]string{}
			for _, m := range list.Manifests {
				got[m.Digest.String()] = m.ArtifactType
			}
			want := map[string]string{}
			for _, a := range again.Attachments {
				want[a.Digest] = a.ArtifactType
				if name == "tag" && a.Tag != tag || name == "api" && a.Tag != "" {
					t.Errorf("%s is listed under the tag %q", a.File, a.Tag)
				}
				if m := manifest(t, repo+"@"+a.Digest); m.Subject == nil || m.Subject.Digest.String() != r.Digest {
					t.Errorf("%s refers to %+v", a.File, m.Subject)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(list.Manifests) != 2 {
				t.Errorf("%d are listed:\n%s", len(list.Manifests), diff)
			}
			if _, status := get(t, "http://"+c.addr+"/v2/team/hello/manifests/"+tag); (status == http.StatusOK) != (name == "tag") {
				t.Errorf("the tag for the list: %d", status)
			}
		})
	}
}

// TestOtherUnderTag finds an image where the list of attachments belongs.
func TestOtherUnderTag(t *testing.T) {
	repo := outputtest.Registry(t, "") + "/hello"
	image := exported(t)
	r := run(t, push.Options{Paths: []string{image}, Reference: repo + ":1"})
	run(t, push.Options{Paths: []string{image}, Reference: repo + ":" + strings.Replace(r.Digest, ":", "-", 1)})
	_, err := push.Run(t.Context(), push.Options{
		Paths: []string{image}, Reference: repo + ":2", Attach: []push.Attachment{{Path: write(t, "a.txt", "a")}},
	})
	wantFault(t, err, fault.Publish, "is for the list of attachments", "remove that tag")
	if tags := skopeo(t, "list-tags", "--tls-verify=false", "docker://"+repo); strings.Contains(tags, `"2"`) {
		t.Errorf("it was tagged: %s", tags)
	}
}

// TestLongDigest makes the tag of a digest that is longer than a tag may be.
func TestLongDigest(t *testing.T) {
	d := digest.SHA512.FromString("x")
	if got := push.ReferrersTag(d); got != "sha512-"+d.Encoded()[:64] {
		t.Error(got)
	}
}
