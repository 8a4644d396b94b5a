package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/template"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/httpapi"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

const (
	// demoFederation is in every certificate, so that nobody mistakes one for a real one.
	demoFederation = "demo-no-real-patients"
	demoStudy      = "tour"
	demoOpenStudy  = "tour-open" // not sealed
	demoResearcher = "visitor"
	demoValidity   = 30 * day
	configFile     = "config.yaml" // in the folder of each daemon
)

var demoHospitals = []string{"rennes", "lyon", "lille", "bordeaux", "marseille"}

// demoOutward is the hospital that opens no port.
const demoOutward = "marseille"

const demoCatalog = `catalog: demo
description: OMOP CDM 5.4 as the five hospitals of the demonstration agreed on it
extends: omop-5.4
# The generator puts a patient into two hospitals at most. In a real federation this
# is a promise that only the hospitals can make.
max_sites: 2
`

var demoCoordinatorFile = template.Must(template.New("coordinator").Parse(`federation: {{.Federation}}
listen: 127.0.0.1:{{.API}}
tls:
  certificate: ../pki/coordinator-main.pem
  key: ../pki/coordinator-main.key
flight_sql: {listen: 127.0.0.1:{{.FlightSQL}}}
postgres: {listen: 127.0.0.1:{{.Postgres}}}
nodes:
  ca: ../pki/ca.pem
  certificate: ../pki/coordinator-main.pem
  key: ../pki/coordinator-main.key
gossip:
  listen: 127.0.0.1:{{.Gossip}}
  key: {file: ../pki/gossip.key}
door: {listen: 127.0.0.1:{{.Door}}}
catalog: ../catalog.yaml
hospitals: [{{range $i, $h := .Hospitals}}{{if $i}}, {{end}}{{$h}}{{end}}]
ledger: coordinator.ledger
sealed: {masks: true}
operators: {olga: ../pki/olga.pub}
researchers:
{{.Account}}
`))

var demoNodeFile = template.Must(template.New("node").Parse(`name: {{.Name}}
federation: {{.Federation}}
{{if .Outward}}# This hospital opens no port: its node dials out to the coordinator's door.
outward: {door: 127.0.0.1:{{.Door}}, proxy: none}
{{else}}listen: 127.0.0.1:{{.Flight}}
gossip:
  listen: 127.0.0.1:{{.OwnGossip}}
  join: ["127.0.0.1:{{.Gossip}}"]
  key: {file: ../pki/gossip.key}
{{end}}tls:
  ca: ../pki/ca.pem
  certificate: ../pki/node-{{.Name}}.pem
  key: ../pki/node-{{.Name}}.key
catalog: ../catalog.yaml
engine:
  duckdb:
    folder: ../data/{{.Name}}
ledger: node.ledger
budget: {accounting: zcdp, epsilon: {{.Epsilon}}, delta: 1.0e-6}
operators: {olga: ../pki/olga.pub}
custodians: {claire: ../pki/claire.pub}
coordinator_key: ../coordinator/coordinator.ledger.pub
local_accounts: true
sealed:
  hospitals: {{len .Hospitals}}
  peers:
{{range .Hospitals}}{{if ne . $.Name}}    {{.}}: ../{{.}}/node.ledger.pub
{{end}}{{end}}console:
  listen: 127.0.0.1:{{.Console}}
  token: {file: ../console.token}
`))

// settings fill the two files.
type settings struct {
	Federation, Study, Researcher string
	Account                       string // of the researcher, one line
	Hospitals                     []string
	API, Gossip                   int // the coordinator's ports
	FlightSQL, Postgres, Door     int // the coordinator's ports
	Name                          string
	Outward                       bool // the node opens no port
	Flight, OwnGossip, Console    int  // the node's ports
	Epsilon                       int  // the hospital's budget over all studies
}

// epsilon is the budget of each study, and of each hospital over all studies.
func (d *demo) epsilon() int {
	if d.catalog != nil {
		return 1_000_000_000
	}
	return 20
}

func (d *demo) catalogText() (string, error) {
	if d.catalog == nil {
		return demoCatalog, nil
	}
	var b bytes.Buffer
	err := d.catalog.WriteYAML(&b)
	return b.String(), err
}

// writeFiles creates certificates, keys, catalog and configurations, and prepares asking.
func (d *demo) writeFiles() error {
	if err := d.writeCertificates(); err != nil {
		return err
	}
	catalogText, err := d.catalogText()
	if err != nil {
		return err
	}
	token := rand.Text()
	line, err := account(demoResearcher, token)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"token": token + "\n", "console.token": rand.Text() + "\n", "catalog.yaml": catalogText, "pki/gossip.key": membership.NewKey() + "\n"} {
		if err := os.WriteFile(filepath.Join(d.folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	ports, err := freePorts(5 + 3*len(d.hospitals))
	if err != nil {
		return err
	}
	s := settings{
		Federation: demoFederation, Study: demoStudy, Researcher: demoResearcher, Account: line,
		Hospitals: d.hospitals, API: ports[0], Gossip: ports[1],
		FlightSQL: ports[2], Postgres: ports[3], Door: ports[4], Epsilon: d.epsilon(),
	}
	if d.port != 0 {
		s.API = d.port
	}
	if err := d.writeFile("coordinator", demoCoordinatorFile, s); err != nil {
		return err
	}
	for i, name := range d.hospitals {
		s.Name, s.Flight, s.OwnGossip, s.Console = name, ports[5+3*i], ports[6+3*i], ports[7+3*i]
		s.Outward = name == demoOutward
		if i == 0 {
			d.custodian = fmt.Sprintf("http://127.0.0.1:%d/", s.Console)
		}
		if err := d.writeFile(name, demoNodeFile, s); err != nil {
			return err
		}
	}
	if err := d.openStudy(); err != nil {
		return err
	}
	d.asking = queryCommand{
		client: client{
			server: "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.API)),
			ca:     filepath.Join(d.folder, "pki", "ca.pem"), tokenFile: filepath.Join(d.folder, "token"),
		},
		request: httpapi.Request{Settings: coordinator.Settings{Study: demoStudy}},
	}
	d.flightSQL, d.postgres = s.FlightSQL, s.Postgres
	return nil
}

// openStudy creates the keys of an operator and of a custodian. It opens the demonstration's studies: one that is
// sealed and one that is not.
func (d *demo) openStudy() error {
	olga, err := pki.CreateSigningKey(filepath.Join(d.folder, "pki", "olga"))
	if err != nil {
		return err
	}
	claire, err := pki.CreateSigningKey(filepath.Join(d.folder, "pki", "claire"))
	if err != nil {
		return err
	}
	if _, err := pki.CreateSigningKey(filepath.Join(d.folder, "coordinator", "coordinator.ledger")); err != nil {
		return err
	}
	for _, name := range d.hospitals { // each pins the keys of the others
		if _, err := pki.CreateSigningKey(filepath.Join(d.folder, name, "node.ledger")); err != nil {
			return err
		}
	}
	sealed := &study.Document{
		ID: demoStudy, Version: 1, Title: "A tour of the demonstration", Purpose: "To show what can be asked.",
		LegalBasis: "None is needed: nobody in this data is real.", Investigators: []string{demoResearcher},
		Tables: map[string][]string{study.Any: {study.Any}}, Aggregates: []study.Aggregate{study.Count, study.Sum, study.Distribution},
		Budget: dp.Budget{Accounting: dp.ZCDP, Epsilon: float64(d.epsilon()), Delta: 1e-6}, MaxEpsilon: 2, DefaultEpsilon: 0.5, DefaultDelta: 1e-8,
		Expires: time.Now().Add(demoValidity), Sealed: true,
	}
	if d.catalog != nil {
		sealed.MaxEpsilon = 100
	}
	open := *sealed
	open.ID, open.Title, open.Sealed = demoOpenStudy, "The same, not sealed", false
	for _, document := range []*study.Document{sealed, &open} {
		if err := d.open(document, olga, claire); err != nil {
			return err
		}
	}
	return nil
}

// open proposes a study as the operator, and approves it at each hospital as the custodian.
func (d *demo) open(document *study.Document, olga, claire ed25519.PrivateKey) error {
	proposal := &study.Record{Act: study.Propose, Study: document.ID, Federation: demoFederation, Document: document, By: "olga", Time: time.Now()}
	if err := proposal.Sign(olga); err != nil {
		return err
	}
	if _, err := study.Post(study.Inbox(filepath.Join(d.folder, "coordinator", "coordinator.ledger")), proposal); err != nil {
		return err
	}
	for _, name := range d.hospitals {
		approval := &study.Record{
			Act: study.Approve, Study: document.ID, Federation: demoFederation, Hospital: name, Number: 1,
			Document: proposal.Document, Proposal: proposal.Document.Digest(), By: "claire", Time: time.Now(),
		}
		if err := approval.Sign(claire); err != nil {
			return err
		}
		for _, r := range []*study.Record{proposal, approval} {
			if _, err := study.Post(study.Inbox(filepath.Join(d.folder, name, "node.ledger")), r); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFile creates a daemon's own folder with its configuration.
func (d *demo) writeFile(daemon string, text *template.Template, s settings) error {
	var b bytes.Buffer
	if err := text.Execute(&b, s); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(d.folder, daemon), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.folder, daemon, configFile), b.Bytes(), 0o600)
}

func (d *demo) writeCertificates() error {
	dir := filepath.Join(d.folder, "pki")
	authority, err := pki.CreateAuthority(dir, demoFederation, demoValidity)
	if err != nil {
		return err
	}
	identity := pki.Identity{Federation: demoFederation, Role: pki.RoleCoordinator, Name: "main"}
	if err := authority.Issue(dir, identity, []string{"localhost", "127.0.0.1"}, demoValidity); err != nil {
		return err
	}
	for _, name := range d.hospitals {
		identity := pki.Identity{Federation: demoFederation, Role: pki.RoleNode, Name: name}
		if err := authority.Issue(dir, identity, nil, demoValidity); err != nil {
			return err
		}
	}
	return nil
}

// freePorts finds n ports that are free on the loopback interface, for TCP and UDP. They are below those that the
// system uses for outgoing connections, so none is taken before its daemon runs.
func freePorts(n int) ([]int, error) {
	const lowest, count, tries = 20_000, 12_000, 1000
	var ports []int
	for range tries {
		draw, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			return nil, err
		}
		port := lowest + int(draw.Int64())
		if slices.Contains(ports, port) || !isFree(port) {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("there are no %d free ports from %d to %d on 127.0.0.1", n, lowest, lowest+count-1)
}

func isFree(port int) bool {
	ip := net.IPv4(127, 0, 0, 1)
	stream, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port})
	if err != nil {
		return false
	}
	defer stream.Close()
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		return false
	}
	return packets.Close() == nil
}
