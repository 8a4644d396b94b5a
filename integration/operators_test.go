package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// install follows docs/install-coordinator.md.
type install struct {
	t       *testing.T
	dir     string // for /etc, /var, /mnt, and the operator's own folder
	replace *strings.Replacer
	address string // of the HTTPS API
	door    string
	daemons map[string]*process
	ran     []string
}

// TestInstallCoordinator runs every command of docs/install-coordinator.md in order, with the configuration of the
// page. The hospital does what install-node.md says. The machine is lost in between, and the standby takes over.
func TestInstallCoordinator(t *testing.T) {
	i := &install{t: t, dir: t.TempDir(), address: freeAddress(t), door: freeAddress(t), daemons: map[string]*process{}}
	t.Cleanup(func() {
		for _, p := range i.daemons {
			p.kill()
		}
	})
	for _, folder := range []string{"etc", "var", "home"} {
		if err := os.Mkdir(filepath.Join(i.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := strings.Cut(i.address, ":")
	i.replace = strings.NewReplacer("/etc/intramuros", i.dir+"/etc", "/var/lib/intramuros", i.dir+"/var", "/backup/intramuros", i.dir+"/backup", "/mnt/standby", i.dir+"/standby",
		"query.example.org:8443", "localhost:"+port, "query.example.org", "localhost", " -o intramuros -g intramuros", "", "sudo -u intramuros ", "",
		"0.0.0.0:8443", i.address, "0.0.0.0:8444", i.door, "0.0.0.0:8815", freeAddress(t), "0.0.0.0:5432", freeAddress(t), "127.0.0.1:9464", freeAddress(t))
	hospital := map[string]func(){
		"intramuros pki sign":      i.request,
		"intramuros study propose": i.join,
		"intramuros query":         i.approve,
	}
	page, printed := readAll(t, "../docs/install-coordinator.md"), ""
	for _, block := range blocks(page) {
		if strings.HasPrefix(block[0], "federation:") {
			i.configure(block, printed)
			continue
		}
		for _, command := range block {
			for prefix, before := range hospital {
				if strings.HasPrefix(command, prefix) {
					before()
				}
			}
			if out := i.do(command); strings.HasPrefix(command, "intramuros pki token") {
				printed = out
			}
		}
	}
	if out := i.sh(`intramuros query --server https://query.example.org:8443 --ca /etc/intramuros/keys/ca.pem --token-file alice.token --study diabetes-2027 "SELECT COUNT(*) FROM person"`); !strings.Contains(out, "the answer was there already") {
		t.Errorf("after the loss of the machine, of the answer that the standby has:\n%s", out)
	}
	if out := i.sh(`intramuros ledger verify --file /var/lib/intramuros/coordinator.ledger`); !strings.Contains(out, "whole") {
		t.Errorf("the ledger: %s", out)
	}
	for _, verb := range []string{"apt install", "systemctl enable", "systemctl stop", "systemctl start", "intramuros ledger rebuild", "intramuros pki revoke"} {
		if !slices.ContainsFunc(i.ran, func(c string) bool { return strings.HasPrefix(strings.TrimPrefix(c, "sudo -u intramuros "), verb) }) {
			t.Errorf("the page does not say %s", verb)
		}
	}
}

// blocks are the indented blocks of a page, without comments at the ends of lines.
func blocks(page string) (all [][]string) {
	var block []string
	for line := range strings.Lines(page + "\nend\n") {
		code, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		if !ok {
			if block != nil {
				all, block = append(all, block), nil
			}
			continue
		}
		code, _, _ = strings.Cut(code, "  #")
		if code = strings.TrimRight(code, " "); strings.TrimSpace(code) != "" {
			block = append(block, code)
		}
	}
	return all
}

// do runs a command of the page, or a substitute if it would change the machine itself.
func (i *install) do(command string) string {
	i.t.Helper()
	i.ran = append(i.ran, command)
	switch word := strings.Fields(command); word[0] {
	case "apt", "journalctl":
		return ""
	case "systemctl":
		switch word[1] {
		case "stop": // the machine is lost, with everything on it
			i.daemons["coordinator"].kill()
			i.daemons["standby"].kill()
			if err := os.RemoveAll(filepath.Join(i.dir, "var")); err != nil {
				i.t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(i.dir, "var"), 0o700); err != nil {
				i.t.Fatal(err)
			}
		default:
			i.start("coordinator", "coordinator is up")
		}
		return ""
	case "curl":
		if _, err := exec.LookPath("curl"); err != nil {
			return ""
		}
	}
	if strings.Contains(command, "--every") {
		i.copyOn(command)
		return ""
	}
	return i.sh(command)
}

// sh runs a command in the operator's folder.
func (i *install) sh(command string) string {
	i.t.Helper()
	out, err := i.command(command).CombinedOutput()
	if err != nil {
		i.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func (i *install) command(command string) *exec.Cmd {
	within, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	i.t.Cleanup(cancel)
	run := exec.CommandContext(within, "sh", "-ec", i.replace.Replace(command))
	run.Dir, run.Env = filepath.Join(i.dir, "home"), append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	return run
}

func (i *install) start(role, up string) {
	i.t.Helper()
	p, err := startProcess(filepath.Join(i.dir, role+".log"), role, "--config", filepath.Join(i.dir, "etc", role+".yaml"))
	if err != nil {
		i.t.Fatal(err)
	}
	i.daemons[role] = p
	if !p.logged(up, 2*soon) {
		i.t.Fatalf("the %s does not start:\n%s", role, p.tail(10))
	}
}

// copyOn lets the standby follow, and waits until it has everything.
func (i *install) copyOn(command string) {
	i.t.Helper()
	words := strings.Fields(i.replace.Replace(command))
	p, err := startProcess(filepath.Join(i.dir, "standby.log"), words[1:]...)
	if err != nil {
		i.t.Fatal(err)
	}
	i.daemons["standby"] = p
	entries := func(file string) string {
		out, err := i.command("intramuros ledger verify --file " + file).CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	for deadline := time.Now().Add(2 * soon); entries("/mnt/standby/coordinator.ledger") != entries("/var/lib/intramuros/coordinator.ledger"); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			i.t.Fatalf("the standby lags behind:\n%s", p.tail(5))
		}
	}
}

// configure writes the page's coordinator.yaml with the output of pki token.
func (i *install) configure(block []string, researcher string) {
	i.t.Helper()
	if !strings.Contains(researcher, "alice: {token_sha256") {
		i.t.Fatalf("pki token prints %q", researcher)
	}
	text := i.replace.Replace(strings.Join(block, "\n")) + "\n" + researcher
	i.write("etc/coordinator.yaml", text)
}

func (i *install) write(name, text string) {
	i.t.Helper()
	if err := os.WriteFile(filepath.Join(i.dir, name), []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// request makes the hospital's request for a certificate, and its custodian's key.
func (i *install) request() {
	i.sh("intramuros pki request --federation france --role node --name chu-lyon --out . && intramuros pki key --out claire && intramuros synth --out data --hospitals chu-lyon --patients 500")
}

// join starts the node, and writes the study.
func (i *install) join() {
	i.t.Helper()
	home := filepath.Join(i.dir, "home")
	i.write("etc/node.yaml", fmt.Sprintf(`
name: chu-lyon
federation: france
outward: {door: "%[1]s", proxy: none}
catalog: builtin:omop-5.4
tls: {ca: %[2]s/pki/ca.pem, certificate: %[2]s/node-chu-lyon.pem, key: %[2]s/node-chu-lyon.key}
ledger: %[2]s/node.ledger
budget: {accounting: zcdp, epsilon: 20, delta: 1.0e-6}
operators: {olga: %[2]s/olga.pub}
custodians: {claire: %[2]s/claire.pub}
coordinator_key: %[3]s/var/coordinator.ledger.pub
local_accounts: true
engine: {duckdb: {folder: %[2]s/data/chu-lyon, memory_limit: 256MB}}
`, i.door, home, i.dir))
	if _, err := os.Stat(filepath.Join(home, "node-chu-lyon.pem")); err != nil {
		i.sh("cp pki/node-chu-lyon.pem .")
	}
	i.start("node", "ready")
	study := readAll(i.t, "../docs/study.yaml")
	changed := strings.Replace(study, "hospitals: [arcachon, bordeaux, langon, libourne]", "hospitals: [chu-lyon]", 1)
	if changed == study {
		i.t.Fatal("docs/study.yaml has other hospitals")
	}
	i.write("home/diabetes.yaml", changed)
}

// approve approves as the custodian, once the proposal has arrived.
func (i *install) approve() {
	i.t.Helper()
	wait := func(what, command, want string) {
		i.t.Helper()
		for deadline := time.Now().Add(4 * soon); ; time.Sleep(200 * time.Millisecond) {
			out, err := i.command(command).CombinedOutput()
			if err == nil && strings.Contains(string(out), want) {
				return
			}
			if time.Now().After(deadline) {
				i.t.Fatalf("%s: %v\n%s", what, err, out)
			}
		}
	}
	wait("the proposal does not come", "intramuros study list --file node.ledger", "diabetes-2027")
	i.sh("intramuros study approve diabetes-2027 --file node.ledger --key claire.key")
	// The coordinator learns it within ten seconds. Until then nothing is charged.
	wait("the approval is not heard of", `intramuros query --server https://query.example.org:8443 --ca /etc/intramuros/keys/ca.pem --token-file alice.token --study diabetes-2027 "SELECT COUNT(*) FROM person"`, "")
}
