package anomaly_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"onevault/anomaly"
)

// nabDir names the variable with a directory of the Numenta Anomaly Benchmark (github.com/numenta/NAB): its folders
// data and labels. The data is not a part of this repository.
const nabDir = "ONEVAULT_NAB_DIR"

func TestNAB_HitsAndFalseFiringsOfTheAWSSeries(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(nabDir)
	if dir == "" {
		t.Skip("not measured: " + nabDir + " names no copy of the benchmark")
	}
	truth := nabWindows(t, filepath.Join(dir, "labels", "combined_windows.json"))
	files, err := filepath.Glob(filepath.Join(dir, "data", "realAWSCloudwatch", "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s holds no data/realAWSCloudwatch/*.csv (%v)", dir, err)
	}
	var total outcome
	for _, file := range files {
		name := "realAWSCloudwatch/" + filepath.Base(file)
		o := live(nabSeries(t, file), anomaly.Rule{Direction: anomaly.Both, Score: 6, Samples: 3, LeastPercent: 2}, truth[name]...)
		t.Logf("%-60s %v", name, o)
		total.hits, total.missed, total.false, total.judged = total.hits+o.hits, total.missed+o.missed, total.false+o.false, total.judged+o.judged
		total.outside += o.outside
	}
	t.Logf("all: %v", total)
	if total.judged == 0 {
		t.Error("no sample was judged")
	}
}

const nabTime = "2006-01-02 15:04:05"

func nabSeries(t *testing.T, file string) []anomaly.Sample {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var samples []anomaly.Sample
	for _, row := range rows[1:] { // timestamp,value
		at, err := time.Parse(nabTime, row[0])
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		value, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		samples = append(samples, anomaly.Sample{At: at, Value: value})
	}
	return samples
}

func nabWindows(t *testing.T, file string) map[string][]window {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var labels map[string][][2]string
	if err := json.Unmarshal(text, &labels); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	truth := map[string][]window{}
	for name, windows := range labels {
		for _, w := range windows {
			from, err1 := time.Parse(nabTime+".000000", w[0])
			to, err2 := time.Parse(nabTime+".000000", w[1])
			if err1 != nil || err2 != nil {
				t.Fatalf("%s: %s has the window %v", file, name, w)
			}
			truth[name] = append(truth[name], window{from, to})
		}
	}
	return truth
}
