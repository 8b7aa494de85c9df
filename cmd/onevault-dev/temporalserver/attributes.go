package temporalserver

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
)

// registerSearchAttributes adds the attributes that the namespace does not have. It goes through the
// server's own API, so that a database of an earlier version of OneVault gets the new ones too.
func registerSearchAttributes(ctx context.Context, operator operatorservice.OperatorServiceClient, want map[string]enumspb.IndexedValueType) error {
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: Namespace})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range want {
		existing, ok := have.GetCustomAttributes()[name]
		if ok && existing != kind {
			return fmt.Errorf("search attribute %s exists as %s, wanted %s", name, existing, kind)
		}
		if !ok {
			missing[name] = kind
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: Namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	return nil
}
