package integration

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// The compose file is valid YAML, has every restriction of the Dockerfile's example, opens the ports of
// docs/coordinator.yaml, and runs the program with an existing command line.
func TestComposeFile(t *testing.T) {
	read := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	text := read("../packaging/compose.yaml")
	// All its keys, as the Compose Specification names them. A misspelled key would be ignored or refused.
	var file struct {
		Name     string
		Services map[string]struct {
			Image string
			Build struct {
				Context string
				Args    map[string]string
			}
			Command  []string
			Restart  string
			Grace    time.Duration `yaml:"stop_grace_period"`
			ReadOnly bool          `yaml:"read_only"`
			CapDrop  []string      `yaml:"cap_drop"`
			Security []string      `yaml:"security_opt"`
			Tmpfs    []string
			Ports    []string
			Volumes  []string
		}
		Volumes map[string]any
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	c, ok := file.Services["coordinator"]
	if !ok || !c.ReadOnly || !slices.Equal(c.CapDrop, []string{"ALL"}) || !slices.Contains(c.Security, "no-new-privileges:true") {
		t.Errorf("%+v", c)
	}
	if strings.Join(c.Command, " ") != "coordinator --config /etc/intramuros/coordinator.yaml" {
		t.Error(c.Command)
	}
	docker := read("../Dockerfile")
	if _, known := c.Build.Args["VERSION"]; !known || c.Build.Context != ".." || !strings.Contains(docker, "ARG VERSION=") {
		t.Errorf("it is built with %+v", c.Build)
	}
	if _, declared := file.Volumes["ledger"]; !declared || !slices.Contains(c.Volumes, "ledger:/var/lib/intramuros") || c.Restart != "unless-stopped" || c.Grace < 15*time.Second {
		t.Errorf("the ledger's volume, or how it stops: %+v", c)
	}
	if !strings.Contains(docker, `ENTRYPOINT ["/usr/bin/intramuros"]`) || !strings.Contains(docker, "VOLUME /var/lib/intramuros") {
		t.Error("the image has another program, or keeps its ledger elsewhere")
	}
	coordinator := read("../docs/coordinator.yaml")
	ports := regexp.MustCompile(`"(\d+):(\d+)(?:/udp)?"`).FindAllStringSubmatch(text, -1)
	if len(ports) < 5 {
		t.Errorf("%d ports", len(ports))
	}
	for _, p := range ports {
		if p[1] != p[2] || !strings.Contains(coordinator, "0.0.0.0:"+p[1]) {
			t.Errorf("nothing in docs/coordinator.yaml listens at %s", p[0])
		}
	}
	for _, line := range strings.Split(docker, "\n") {
		if ports, ok := strings.CutPrefix(line, "EXPOSE "); ok {
			for _, port := range c.Ports {
				if !strings.Contains(ports, strings.Split(port, ":")[1]+"/tcp") {
					t.Errorf("the image does not expose %s", port)
				}
			}
		}
	}
}

// The packages contain every page, and no packaging file needs a tool for ledgers other than the program itself.
func TestPackagingFiles(t *testing.T) {
	for _, path := range []string{"../packaging/build", "../packaging/check", "../packaging/compose.yaml", "../Dockerfile", "../packaging/debian/postinst", "../packaging/debian/prerm", "../packaging/debian/postrm"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "sqlite3") {
			t.Errorf("%s copies a ledger with sqlite3, which may cut it: ledger backup does it beside a running daemon", path)
		}
	}
}
