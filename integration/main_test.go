package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// binary is the program under test, built once for each run.
var binary string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == inspectorCommand {
		fmt.Fprintln(os.Stderr, inspect(os.Args[2:]))
		os.Exit(1)
	}
	flag.Parse()
	if fuzz := flag.Lookup("test.fuzz"); fuzz.Value.String() != "" {
		os.Exit(m.Run()) // it starts no daemon
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "intramuros-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "intramuros")
	args := []string{"build", "-o", binary}
	if os.Getenv("INTRAMUROS_RACE") != "" {
		args = append(args, "-race")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", append(args, "../cmd/intramuros")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the binary does not build: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	trinotest.Stop()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// dataFolder finds a folder of test data, or skips the test.
func dataFolder(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("INTRAMUROS_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "data")
	}
	folder, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("the data set %s is not here (%s); INTRAMUROS_DATA names the folder that holds it", name, folder)
	}
	return folder
}
