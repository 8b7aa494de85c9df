package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"
)

// Slack's limits, in characters: a message over one of them is refused as a whole.
const (
	maxSlackBlocks  = 50
	maxSlackHeader  = 150
	maxSlackSection = 3000
	maxSlackField   = 2000
	maxSlackFields  = 10
)

// slackConfig is the guide's SLACK shape, one way: {"webhook_url"|"webhook_url_env"|"webhook_url_file",
// "channel", "username", "icon_emoji"}; or an app's, both ways: {"bot_token_env"|"bot_token_file",
// "channel", "api_base_url", "username", "icon_emoji"}.
type slackConfig struct {
	url, token           secretRef
	channel, user, emoji string
	api                  *url.URL // of the Web API; nil with an incoming webhook
	users                []string // contacts who get a direct message
}

func parseSlack(f *fields) slackConfig {
	c := slackConfig{
		url: f.secretRef("webhook_url", true), token: f.secretRef("bot_token", false), channel: f.text("channel"),
		user: f.text("username"), emoji: f.text("icon_emoji"),
	}
	api := f.text("api_base_url")
	switch {
	case c.token.present && c.url.present:
		f.fail("webhook_url", "it contradicts the bot token that is given; remove one of the two")
	case c.token.present:
		parseSlackBot(f, &c, api)
	case !c.url.present:
		f.fail("webhook_url", "it is missing; name the variable that holds the app's bot token in bot_token_env, or that of an incoming webhook's URL in webhook_url_env")
	case api != "":
		f.fail("api_base_url", "an incoming webhook needs none; remove it")
	}
	if c.url.inline != "" {
		if _, err := parseURL("webhook_url", string(c.url.inline)); err != nil {
			f.errs = append(f.errs, err)
		}
	}
	return c
}

// slackWebhook posts to an incoming webhook: one way, no buttons, no message id, no deduplication.
type slackWebhook struct {
	cfg     slackConfig
	url     *url.URL
	client  *http.Client
	timeout time.Duration
	scrub   scrubber
}

func openSlack(cfg Config, o Options) (Channel, error) {
	f := parseFields(cfg)
	c := parseSlack(f)
	if c.token.present {
		c.users = f.alsoUsers(cfg.Also)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if c.token.present {
		return openSlackBot(c, o)
	}
	target, err := loadURL(c.url, o)
	if err != nil {
		return nil, err
	}
	return &slackWebhook{
		cfg: c, url: target, client: newHTTPClient(guardFor(target, o), o.RootCAs),
		timeout: o.timeout(), scrub: newScrubber(urlSecrets(target)...),
	}, nil
}

// Recipients names Slack's channel where the row does; the webhook's own channel has no name here.
func (s *slackWebhook) Recipients() []string {
	if s.cfg.channel != "" {
		return []string{oneLine(s.cfg.channel, 100)}
	}
	return []string{displayURL(s.url)}
}

func (s *slackWebhook) Send(ctx context.Context, _ string, m Message) Receipt {
	start := time.Now()
	receipt := s.send(ctx, m)
	receipt.Duration = time.Since(start)
	return s.scrub.receipt(receipt)
}

func (s *slackWebhook) send(ctx context.Context, m Message) Receipt {
	message := s.message(m)
	body, err := json.Marshal(message)
	if err != nil {
		return Receipt{Class: Permanent, Reason: "the message cannot be written as JSON: " + oneLine(err.Error(), 200)}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"OneVault"}}
	o, err := post(ctx, s.client, s.url, header, body, true)
	receipt := slackVerdict(o, err)
	receipt.Content = clip(slackText(message.Blocks.BlockSet))
	return receipt
}

// slackVerdict asks for Slack's own word: a 200 from a portal or a proxy in between proves nothing.
func slackVerdict(o *outcome, err error) Receipt {
	receipt := classifyHTTP(o, err)
	if receipt.Class != Accepted {
		return receipt
	}
	_, _, _, answer := o.read()
	if slackSaysOK(answer) {
		receipt.Proof += " ok"
		return receipt
	}
	said := "nothing readable"
	if text := oneLine(answer, 200); text != "" {
		said = fmt.Sprintf("%q", text)
	}
	return Receipt{Class: Uncertain, Reason: receipt.Proof + " without Slack's ok: " + said + "; is webhook_url really Slack's?"}
}

// slackSaysOK knows the word ok of Slack and Mattermost and the JSON of compatible servers.
func slackSaysOK(answer string) bool {
	if strings.EqualFold(strings.TrimSpace(answer), "ok") {
		return true
	}
	var said struct {
		OK      bool `json:"ok"`
		Success bool `json:"success"`
	}
	return json.Unmarshal([]byte(answer), &said) == nil && (said.OK || said.Success)
}

func (s *slackWebhook) message(m Message) *slack.WebhookMessage {
	p := newPage(m)
	return &slack.WebhookMessage{
		Text:     slackEscape(p.Subject, maxSlackSection), // what a telephone's lock screen shows
		Channel:  s.cfg.channel,
		Username: s.cfg.user, IconEmoji: s.cfg.emoji,
		Blocks: &slack.Blocks{BlockSet: slackBlocks(p)},
	}
}

func slackBlocks(p page) []slack.Block {
	blocks := []slack.Block{
		slack.NewHeaderBlock(slack.NewTextBlockObject(slack.PlainTextType, p.Emoji+" "+slackEscape(p.Subject, maxSlackHeader-len(p.Emoji)-1), true, false)),
		slackSection(slackEscape(p.Lede, maxSlackSection)),
	}
	for _, line := range p.More {
		blocks = append(blocks, slackSection(slackEscape(line, maxSlackSection)))
	}
	for _, hint := range p.Hints {
		blocks = append(blocks, slackSection("_"+slackEscape(hint, maxSlackSection-2)+"_"))
	}
	blocks = append(blocks, slackFacts(p.Facts)...)
	if p.Runbook != "" {
		blocks = append(blocks, slackSection("*Runbook*\n"+slackEscape(p.Runbook, maxField)))
	}
	blocks = append(blocks, slackList(p)...)
	if p.Command != "" {
		blocks = append(blocks, slackSection("*Acknowledge*  "+slackCode(p.Command, 200)))
	}
	if links := slackLinks(p.Links); links != "" {
		blocks = append(blocks, slackSection(links))
	}
	return blocks[:min(len(blocks), maxSlackBlocks)]
}

func slackSection(markdown string) slack.Block {
	return slack.NewSectionBlock(slack.NewTextBlockObject(slack.MarkdownType, markdown, false, false), nil, nil)
}

func slackFacts(facts []fact) []slack.Block {
	var blocks []slack.Block
	for len(facts) > 0 {
		n := min(len(facts), maxSlackFields)
		cells := make([]*slack.TextBlockObject, 0, n)
		for _, f := range facts[:n] {
			label := "*" + slackEscape(f.Label, 100) + "*\n"
			cells = append(cells, slack.NewTextBlockObject(slack.MarkdownType, label+slackEscape(f.Value, maxSlackField-len(label)), false, false))
		}
		blocks = append(blocks, slack.NewSectionBlock(nil, cells, nil))
		facts = facts[n:]
	}
	return blocks
}

// slackList puts one alert on a line. Twenty lines of bounded fields fit into one section, or ten of a digest.
func slackList(p page) []slack.Block {
	if len(p.Listed) == 0 {
		return nil
	}
	perSection, width := len(p.Listed), 30
	if p.Digest {
		perSection, width = 10, 150
	}
	lines := []string{"*The worst first*"}
	var blocks []slack.Block
	for rows := range slices.Chunk(p.Listed, perSection) {
		for _, a := range rows {
			lines = append(lines, fmt.Sprintf("%s  *%s*  %s %s", slackCode(a.ShortID, 36), slackEscape(a.Value, width), slackEscape(a.Status, 15), slackEscape(a.When, 50)))
		}
		blocks, lines = append(blocks, slackSection(strings.Join(lines, "\n"))), nil
	}
	if p.Hidden > 0 {
		blocks = append(blocks, slackSection(fmt.Sprintf("and %d more", p.Hidden)))
	}
	return blocks
}

// slackLinks leaves out a link that would not fit: half of one leads nowhere.
func slackLinks(links []link) string {
	parts := make([]string, 0, len(links))
	for _, l := range links {
		if text := "<" + slackutilsx.EscapeMessage(l.URL) + "|" + slackEscape(l.Label, 100) + ">"; len(text) < maxSlackSection/len(links) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "   ")
}

func slackCode(s string, limit int) string {
	return "`" + slackEscape(strings.ReplaceAll(s, "`", "'"), limit) + "`"
}

// slackEscape makes foreign text inert and bounds it after escaping, where Slack counts, without
// cutting an escape sequence in two.
func slackEscape(s string, limit int) string {
	escaped := slackutilsx.EscapeMessage(s)
	if len([]rune(escaped)) <= limit {
		return escaped
	}
	cut := string([]rune(escaped)[:limit-1])
	if amp := strings.LastIndexByte(cut, '&'); amp >= 0 && !strings.Contains(cut[amp:], ";") {
		cut = cut[:amp]
	}
	return cut + "…"
}

// slackText is what a reader sees of the blocks, for the ledger.
func slackText(blocks []slack.Block) string {
	var parts []string
	add := func(t *slack.TextBlockObject) {
		if t != nil {
			parts = append(parts, t.Text)
		}
	}
	for _, block := range blocks {
		switch b := block.(type) {
		case *slack.HeaderBlock:
			add(b.Text)
		case *slack.SectionBlock:
			add(b.Text)
			for _, cell := range b.Fields {
				add(cell)
			}
		}
	}
	return strings.Join(parts, "\n")
}
