package worker

import (
	"context"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"

	"onevault/workflows"
)

// registerSearchAttributes adds those that the cluster lacks. A workflow that sets an unknown one is
// stuck, so a cluster that refuses to add them is told how, and nothing starts.
func (p *parts) registerSearchAttributes(ctx context.Context) error {
	known, err := p.temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: p.config.Namespace})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]enumspb.IndexedValueType{}
	var flags []string
	for _, attribute := range workflows.SearchAttributes() {
		if _, there := known.GetCustomAttributes()[attribute.GetName()]; !there {
			missing[attribute.GetName()] = attribute.GetValueType()
			flags = append(flags, fmt.Sprintf("--name %s --type %s", attribute.GetName(), attribute.GetValueType()))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = p.temporal.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: p.config.Namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes (by hand: temporal operator search-attribute create --namespace %s %s): %w",
			p.config.Namespace, strings.Join(flags, " "), err)
	}
	p.log.Info("search attributes added", "count", len(missing))
	return nil
}
