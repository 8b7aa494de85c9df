package worker

import (
	"context"
	"testing"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}
