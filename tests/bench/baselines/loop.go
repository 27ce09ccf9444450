// A baseline: CSV rows to JSON lines as a short Go program does it, with the standard library alone.
//
//	loop flat FILE     one flat object for each row, a text for each column: nothing is mapped
//	loop nested FILE   objects in the shape of the Elastic Common Schema: known columns under their field, numbers as
//	                   numbers, the rest under salesforce.<type>, empty values left out
//
// It makes no ids, looks at no times and no addresses, and gives up at the first row that is wrong.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fields of the Elastic Common Schema for columns that Login and ApexExecution have.
var fields = map[string]string{
	"TIMESTAMP_DERIVED": "@timestamp",
	"LOGIN_STATUS":      "event.outcome",
	"URI":               "event.url",
	"RUN_TIME":          "event.duration",
	"USER_ID_DERIVED":   "user.id",
	"USER_NAME":         "user.email",
	"USER_TYPE":         "user.roles",
	"SOURCE_IP":         "source.ip",
	"COUNTRY_CODE":      "source.geo.country_iso_code",
	"CIPHER_SUITE":      "tls.cipher",
	"TLS_PROTOCOL":      "tls.version",
	"HTTP_REFERER":      "http.request.referrer",
	"BROWSER_TYPE":      "user_agent.original",
}

var numbers = map[string]bool{
	"RUN_TIME": true, "CPU_TIME": true, "DB_TOTAL_TIME": true, "EXEC_TIME": true, "CALLOUT_TIME": true,
	"NUMBER_SOQL_QUERIES": true,
}

type counter struct{ bytes int }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += len(p)
	return len(p), nil
}

// target is where the value of a column goes.
type target struct {
	path   []string
	number bool
}

func targets(header []string, eventType string) []target {
	var all []target
	for _, column := range header {
		field, known := fields[column]
		if !known {
			field = "salesforce." + eventType + "." + strings.ToLower(column)
		}
		all = append(all, target{strings.Split(field, "."), numbers[column]})
	}
	return all
}

func nested(row []string, targets []target) map[string]any {
	document := make(map[string]any, 8)
	for i, value := range row {
		if value == "" {
			continue
		}
		target := targets[i]
		at := document
		for _, name := range target.path[:len(target.path)-1] {
			inner, found := at[name].(map[string]any)
			if !found {
				inner = make(map[string]any, 8)
				at[name] = inner
			}
			at = inner
		}
		name := target.path[len(target.path)-1]
		if number, err := strconv.ParseInt(value, 10, 64); target.number && err == nil {
			at[name] = number
		} else {
			at[name] = value
		}
	}
	return document
}

func convert(shape, path string, out io.Writer) (rows int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var log io.Reader = bufio.NewReaderSize(file, 1<<16)
	if strings.HasSuffix(path, ".gz") {
		if log, err = gzip.NewReader(log); err != nil {
			return 0, err
		}
	}
	reader := csv.NewReader(log)
	header, err := reader.Read()
	if err != nil {
		return 0, err
	}
	reader.ReuseRecord = true

	buffered := bufio.NewWriterSize(out, 1<<16)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)

	flat := make(map[string]string, len(header))
	var columns []target
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, buffered.Flush()
		}
		if err != nil {
			return rows, err
		}
		if shape == "nested" {
			if columns == nil {
				columns = targets(header, strings.ToLower(row[0]))
			}
			err = encoder.Encode(nested(row, columns))
		} else {
			for i, value := range row {
				flat[header[i]] = value
			}
			err = encoder.Encode(flat)
		}
		if err != nil {
			return rows, err
		}
		rows++
	}
}

// cpu is the processor time of all threads so far, those that collect garbage included.
func cpu() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: loop flat|nested FILE")
		os.Exit(2)
	}
	var out counter
	before, started := cpu(), time.Now()
	rows, err := convert(os.Args[1], os.Args[2], &out)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	wall := time.Since(started).Seconds()
	report := map[string]any{
		"rows": rows, "bytes_out": out.bytes, "cpu_seconds": cpu() - before, "wall_seconds": wall,
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		os.Exit(1)
	}
}
