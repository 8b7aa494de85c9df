package activities

import (
	"net/url"
	"strings"
)

// WorkflowURL is the address of a workflow in the Temporal UI.
func WorkflowURL(base, namespace, workflowID string) string {
	return strings.TrimRight(base, "/") + "/namespaces/" + url.PathEscape(namespace) + "/workflows/" + url.PathEscape(workflowID)
}
