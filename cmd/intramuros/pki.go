package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
)

const day = 24 * time.Hour

func newPKICommand() *cobra.Command {
	c := newGroup("pki", "Make the federation's authority and its certificates", `
Every party of a federation proves who it is by a certificate of the federation's own
authority. Its role and name stand in the certificate:

    intramuros://<federation>/<role>/<name>

Make the authority once, on a machine that is no daemon's, and keep ca.key there.`)
	c.AddCommand(newPKIInitCommand(), newPKIRequestCommand(), newPKISignCommand(), newPKIIssueCommand(), newPKIRevokeCommand(), newPKIKeyCommand(), newPKITokenCommand())
	return c
}

func newPKIInitCommand() *cobra.Command {
	var dir, federation string
	var days int
	c := &cobra.Command{
		Use:   "init --dir DIR --federation NAME",
		Short: "Make a federation's certificate authority and gossip key",
		Long: `Makes a new certificate authority and the key that encrypts the daemons' gossip:

    ca.pem      the authority's certificate; every daemon has a copy
    ca.key      the authority's key; it stays here, offline
    gossip.key  the gossip key; every daemon has a copy, which only it can read

It refuses if a file is there: a new authority would cut off everybody who has a
certificate of the old one.`,
		Example: `  intramuros pki init --dir pki --federation france
  intramuros pki issue --dir pki --role node --name chu-lyon`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("dir", "federation"),
		RunE: func(c *cobra.Command, _ []string) error {
			gossip := filepath.Join(dir, "gossip.key")
			if _, err := os.Lstat(gossip); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is there already; choose another --dir", gossip)
			}
			if _, err := pki.CreateAuthority(dir, federation, time.Duration(days)*day); err != nil {
				return err
			}
			f, err := os.OpenFile(gossip, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(f, membership.NewKey())
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n%s\n%s\n", filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"), gossip)
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the authority")
	c.Flags().StringVar(&federation, "federation", "", "name of the federation: lower-case letters, digits and hyphens")
	c.Flags().IntVar(&days, "days", 3650, "how long the authority is valid")
	return c
}

func newPKIIssueCommand() *cobra.Command {
	var dir, out, role, name string
	var hosts []string
	var days int
	c := &cobra.Command{
		Use:   "issue --dir DIR --role ROLE --name NAME",
		Short: "Issue or renew a certificate, with a key made here",
		Long: `Issues a certificate and its key as <role>-<name>.pem and <role>-<name>.key. Issuing
again renews: a running daemon takes the new files by itself.

It is for daemons and people at the operator's own place. A hospital makes its key itself
(intramuros pki request), and the operator signs the request (intramuros pki sign).

The roles:

    node         a hospital's daemon
    coordinator  plans, merges and releases
    client       a researcher's program
    operator     a person who administers a daemon

Keep --days short; intramuros pki revoke ends a certificate before its time. Daemons know each other by role and
name, not by host; --host is for browsers and curl, so the coordinator needs it.`,
		Example: `  intramuros pki issue --dir pki --role coordinator --name paris --host query.example.org`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("dir", "role", "name"),
		RunE: func(c *cobra.Command, _ []string) error {
			authority, err := pki.LoadAuthority(dir)
			if err != nil {
				return err
			}
			if out == "" {
				out = dir
			}
			id := pki.Identity{Federation: authority.Federation(), Role: role, Name: name}
			if err := id.Validate(); err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o700); err != nil {
				return err
			}
			if err := authority.Issue(out, id, hosts, time.Duration(days)*day); err != nil {
				return err
			}
			base := filepath.Join(out, role+"-"+name)
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s.pem\n%s.key\n", base, base)
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the authority, with ca.pem and ca.key")
	c.Flags().StringVar(&out, "out", "", "folder for the certificate and its key (default: --dir)")
	c.Flags().StringVar(&role, "role", "", "node, coordinator, client or operator")
	c.Flags().StringVar(&name, "name", "", "name of the hospital, coordinator or person: lower-case letters, digits and hyphens")
	c.Flags().StringSliceVar(&hosts, "host", nil, "host name or IP address by which browsers reach it; may be given again")
	c.Flags().IntVar(&days, "days", 365, "how long the certificate is valid, at most as long as the authority")
	return c
}

func newPKIRequestCommand() *cobra.Command {
	var out, federation, role, name string
	c := &cobra.Command{
		Use:   "request --federation NAME --role ROLE --name NAME",
		Short: "Make a key, and a request to certify it",
		Long: `Makes a key, <role>-<name>.key, which stays on this machine, and <role>-<name>.csr, which
the federation's operator signs (intramuros pki sign). Where the key is there already, as for
a renewal, the request is for that key; move one that was made elsewhere away first. Tell the operator the fingerprint by another way
than the one that the request takes.`,
		Example: `  intramuros pki request --federation france --role node --name chu-lyon --out /etc/intramuros/keys`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("federation", "role", "name"),
		RunE: func(c *cobra.Command, _ []string) error {
			fingerprint, err := pki.CreateRequest(out, pki.Identity{Federation: federation, Role: role, Name: name})
			if err != nil {
				return err
			}
			base := filepath.Join(out, role+"-"+name)
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s.key\n%s.csr\nfingerprint of the key: %s\n", base, base, fingerprint)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", ".", "folder for the key and the request")
	c.Flags().StringVar(&federation, "federation", "", "name of the federation")
	c.Flags().StringVar(&role, "role", "", "node, coordinator, client or operator")
	c.Flags().StringVar(&name, "name", "", "name of the hospital, coordinator or person: lower-case letters, digits and hyphens")
	return c
}

func newPKISignCommand() *cobra.Command {
	var dir, out, request, role, name string
	var hosts []string
	var days int
	c := &cobra.Command{
		Use:   "sign --dir DIR --request FILE --role ROLE --name NAME",
		Short: "Sign a request, and so issue or renew a certificate",
		Long: `Signs a request that intramuros pki request made, and writes <role>-<name>.pem. The key stays
where the request was made: this machine never has it. Compare the fingerprint that is
printed with the one that the hospital tells, by telephone, before you send the certificate.
Role and name must be the request's: a hospital gets a certificate in its own name only.`,
		Example: `  intramuros pki sign --dir pki --request node-chu-lyon.csr --role node --name chu-lyon --days 90`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("dir", "request", "role", "name"),
		RunE: func(c *cobra.Command, _ []string) error {
			authority, err := pki.LoadAuthority(dir)
			if err != nil {
				return err
			}
			if out == "" {
				out = dir
			}
			b, err := os.ReadFile(request)
			if err != nil {
				return err
			}
			id := pki.Identity{Federation: authority.Federation(), Role: role, Name: name}
			fingerprint, err := authority.Sign(out, b, id, hosts, time.Duration(days)*day)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s.pem\nfingerprint of the key: %s\n", filepath.Join(out, role+"-"+name), fingerprint)
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the authority, with ca.pem and ca.key")
	c.Flags().StringVar(&request, "request", "", "the request, a .csr file")
	c.Flags().StringVar(&out, "out", "", "folder for the certificate (default: --dir)")
	c.Flags().StringVar(&role, "role", "", "node, coordinator, client or operator, as the request says")
	c.Flags().StringVar(&name, "name", "", "name of the hospital, coordinator or person, as the request says")
	c.Flags().StringSliceVar(&hosts, "host", nil, "host name or IP address by which browsers reach it; may be given again")
	c.Flags().IntVar(&days, "days", 365, "how long the certificate is valid, at most as long as the authority")
	return c
}

func newPKIRevokeCommand() *cobra.Command {
	var dir, certificate string
	var days int
	c := &cobra.Command{
		Use:   "revoke --dir DIR --certificate FILE",
		Short: "Revoke a certificate",
		Long: `Adds a certificate to the authority's revocation list, crl.pem in --dir. Copy the list to
every daemon, beside its ca.pem: running daemons take it by themselves, and refuse the
bearer on new connections and on open ones.`,
		Example: `  intramuros pki revoke --dir pki --certificate pki/coordinator-paris.pem`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("dir", "certificate"),
		RunE: func(c *cobra.Command, _ []string) error {
			authority, err := pki.LoadAuthority(dir)
			if err != nil {
				return err
			}
			if err := authority.Revoke(dir, certificate, time.Duration(days)*day); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), filepath.Join(dir, "crl.pem"))
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder of the authority, with ca.pem and ca.key")
	c.Flags().StringVar(&certificate, "certificate", "", "the certificate to revoke, a PEM file")
	c.Flags().IntVar(&days, "days", 365, "when the next list is due")
	return c
}

func newPKIKeyCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "key --out NAME",
		Short: "Make a signing key",
		Long: `Makes an Ed25519 key, NAME.key, which only you may read, and its public half NAME.pub.

Operators and custodians sign studies with theirs; the public half belongs into the
daemons' configuration. A daemon signs checkpoints with the key beside its ledger, such as
coordinator.ledger.key, and makes it at its first start; make the coordinator's before, to
give its public half to the nodes.`,
		Example: `  intramuros pki key --out claire
  intramuros pki key --out coordinator.ledger`,
		Args:    arguments(cobra.NoArgs),
		PreRunE: require("out"),
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := pki.CreateSigningKey(out); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s.key\n%s.pub\n", out, out)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "path of the key, without an ending")
	return c
}

func newPKITokenCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "token --out FILE NAME",
		Short: "Make the token of a researcher's local account",
		Long: `Makes a token for a local account, in a file that only you may read, and prints the line for
` + "`researchers`" + ` in coordinator.yaml. The line holds no token: a hash, by which the coordinator knows it
at the HTTPS API and at Flight SQL, and keys by which the researcher proves it at the PostgreSQL door
without sending it (SCRAM-SHA-256). Where the file is there already, the line is for the token in it:
so an account that was made without keys gets them.

Give the file to the researcher by a safe way, and delete it here. To reset an account, make a new
token, and put the new line in place of the old one.`,
		Example: `  intramuros pki token --out alice.token alice`,
		Args:    arguments(cobra.ExactArgs(1)),
		PreRunE: require("out"),
		RunE: func(c *cobra.Command, args []string) error {
			token, err := openToken(out)
			if err != nil {
				return err
			}
			line, err := account(args[0], token)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), line)
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "file of the token")
	return c
}

// openToken returns the token in a file, or creates the file with a token of 130 random bits.
func openToken(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		b, err := os.ReadFile(path)
		return string(bytes.TrimRight(b, "\r\n")), err
	}
	if err != nil {
		return "", err
	}
	token := rand.Text()
	_, err = fmt.Fprintln(f, token)
	return token, errors.Join(err, f.Close())
}

// account writes a local account in the form of coordinator.yaml.
func account(name, token string) (string, error) {
	if !identity.ValidName(name) || strings.Contains(name, "@") {
		return "", fmt.Errorf("%q is no name: lower-case letters, digits, '.', '_' and '-'", name)
	}
	if len(token) < coordinator.MinToken {
		return "", fmt.Errorf("the token is shorter than %d characters; delete its file, and a good one is made", coordinator.MinToken)
	}
	keys, err := identity.NewScramKeys(token)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("  %s: {token_sha256: %x, scram: %q}", name, sha256.Sum256([]byte(token)), keys), nil
}
