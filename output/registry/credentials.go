package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// dockerConfig is the part of Docker's configuration file that is about
// credentials.
type dockerConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth"` // base64 of user:password
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// credentials returns the user and the password for a registry, as docker
// login left them; a token comes with an empty user. None are empty strings.
func credentials(host string) (user, secret string, err error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", "", nil // no home, no credentials
		}
		dir = filepath.Join(home, ".docker")
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	var c dockerConfig
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return "", "", fault.New(fault.Input, fmt.Errorf("reading Docker's configuration: %w", err))
	}
	return c.find(host)
}

func (c dockerConfig) find(host string) (user, secret string, err error) {
	for _, key := range keys(host) {
		if helper, ok := c.CredHelpers[key]; ok {
			return ask(helper, key)
		}
		auth, ok := c.Auths[key]
		if ok && auth.IdentityToken != "" {
			return "", auth.IdentityToken, nil
		}
		if ok && auth.Auth != "" {
			text, err := base64.StdEncoding.DecodeString(auth.Auth)
			user, secret, ok := strings.Cut(string(text), ":")
			if err != nil || !ok {
				return "", "", fault.New(fault.Input, fmt.Errorf("malformed credentials for %s in Docker's configuration", key))
			}
			return user, secret, nil
		}
		if ok && c.CredsStore != "" {
			return ask(c.CredsStore, key)
		}
	}
	return "", "", nil
}

// keys are the names under which Docker files a registry. Its own one is filed
// under the address of its first version.
func keys(host string) []string {
	if host == "registry-1.docker.io" || host == "docker.io" {
		return []string{"https://index.docker.io/v1/", "docker.io"}
	}
	return []string{host, "https://" + host, "http://" + host}
}

// ask runs a credential helper: the registry on its input, JSON on its output.
func ask(helper, key string) (user, secret string, err error) {
	var stdout bytes.Buffer
	cmd := exec.Command("docker-credential-"+filepath.Base(helper), "get")
	cmd.Stdin, cmd.Stdout = strings.NewReader(key), &stdout
	if err := cmd.Run(); err != nil {
		// The helper says on its output that it knows nothing of a registry.
		if strings.Contains(stdout.String(), "credentials not found") {
			return "", "", nil
		}
		return "", "", fault.New(fault.Input, fmt.Errorf("asking docker-credential-%s: %w", helper, err))
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return "", "", fault.New(fault.Input, fmt.Errorf("reading the answer of docker-credential-%s: %w", helper, err))
	}
	if answer.Username == "<token>" {
		answer.Username = ""
	}
	return answer.Username, answer.Secret, nil
}
