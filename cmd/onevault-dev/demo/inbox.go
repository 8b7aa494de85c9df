package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// inboxClient reads the messages that arrived in the development inbox.
type inboxClient struct{ url string }

// message is the part of an inbox message that the demo looks at.
type message struct {
	ReceivedAt time.Time `json:"received_at"`
	EditedAt   time.Time `json:"edited_at"`
	To         string    `json:"to"`
	Subject    string    `json:"subject"`
	Text       string    `json:"text"`
	Raw        string    `json:"raw"`
	Severity   string    `json:"severity"`
	Key        string    `json:"key"`
}

// last is when the message became what it is: a message that is edited in place came long before.
func (m message) last() time.Time {
	if m.EditedAt.IsZero() {
		return m.ReceivedAt
	}
	return m.EditedAt
}

// position is the number of the newest message; 0 when there is none.
func (c *inboxClient) position(ctx context.Context) (int, error) {
	list, err := c.list(ctx, 0, "")
	return list.Seq, err
}

// find looks for a channel's message that names the alert, among those after a position. A call spells the
// id out; there the sender's key names the alert.
func (c *inboxClient) find(ctx context.Context, after int, channel string, a alertState, resolved bool) (message, bool, error) {
	list, err := c.list(ctx, after, channel)
	if err != nil {
		return message{}, false, err
	}
	for _, m := range list.Messages {
		if (m.Severity == "RESOLVED") == resolved && (strings.Contains(m.Subject+m.Text+m.Raw, a.shortID) || strings.HasPrefix(m.Key, a.businessKey)) {
			return m, true, nil
		}
	}
	return message{}, false, nil
}

type listing struct {
	Seq      int       `json:"seq"`
	Messages []message `json:"messages"`
}

func (c *inboxClient) list(ctx context.Context, after int, channel string) (listing, error) {
	query := url.Values{"after": {strconv.Itoa(after)}}
	if channel != "" {
		query.Set("channel", channel)
	}
	var list listing
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/api/messages?"+query.Encode(), nil)
	if err != nil {
		return list, fmt.Errorf("ask the inbox: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return list, fmt.Errorf("ask the inbox: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // only to say more
		return list, fmt.Errorf("ask the inbox: %s: %s", resp.Status, text)
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return list, fmt.Errorf("read the inbox: %w", err)
	}
	return list, nil
}
