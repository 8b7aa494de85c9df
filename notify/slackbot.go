package notify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"onevault/alert"
)

const (
	slackAPI = "https://slack.com/api/"
	// slackEvery is how often Slack takes a message of an app into one of its channels.
	slackEvery = time.Second
	// slackPatience is how long an attempt waits for its turn; a longer queue is left to the next attempt.
	slackPatience = 8 * time.Second
	// maxSlackHistory caps a page of a channel's history: other apps' messages are in it, too.
	maxSlackHistory = 4 << 20
	// slackPages and slackPerPage bound how far back a lost message is looked for.
	slackPages, slackPerPage = 3, 100
	// slackSkew is how much earlier than our clock Slack's may be.
	slackSkew = 5 * time.Minute

	slackEvent = "onevault_alert"   // metadata.event_type
	slackKey   = "notification_key" // in metadata.event_payload: the delivery's key
)

var (
	slackChannelID   = regexp.MustCompile(`^[CGD][A-Z0-9]{8,}$`)
	slackChannelName = regexp.MustCompile(`^#[^\s#]+$`)
)

func parseSlackBot(f *fields, c *slackConfig, api string) {
	switch {
	case c.channel == "":
		f.fail("channel", `it is missing; give the channel's id, such as "C0123456789", or its name, such as "#ops-alerts"`)
	case slackChannelName.MatchString(c.channel):
		f.hints = append(f.hints, errors.New("channel: with the id (C..., at the end of the channel's details) instead of the name, a message whose answer was lost is looked up before it is sent again"))
	case !slackChannelID.MatchString(c.channel):
		f.fail("channel", `%q is neither a channel's id, such as "C0123456789", nor its name, such as "#ops-alerts"`, oneLine(c.channel, 60))
	}
	if api == "" {
		api = slackAPI
	}
	u, err := parseURL("api_base_url", api)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		f.fail("api_base_url", "it is not a plain URL; leave it out for Slack's own, %s", slackAPI)
		return
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/"
	c.api = u
	if c.user != "" || c.emoji != "" {
		f.hints = append(f.hints, errors.New("username, icon_emoji: Slack regards them only where the app has the scope chat:write.customize"))
	}
}

// slackBot posts as a Slack app: with buttons, in place, and with the alert's timeline in the thread.
type slackBot struct {
	cfg     slackConfig
	api     *slack.Client
	timeout time.Duration
	pace    *Pace
	scrub   scrubber
}

func openSlackBot(c slackConfig, o Options) (Channel, error) {
	token, err := c.token.load(o)
	if err != nil {
		return nil, err
	}
	guard := guardFor(c.api, o)
	guard.onlyAllowed = !isSlack(c.api.Hostname())
	if err := guard.checkLiteral("api_base_url", c.api.Hostname()); err != nil {
		return nil, err
	}
	client := withAnswersUpTo(maxSlackHistory, newHTTPClient(guard, o.RootCAs))
	return &slackBot{
		cfg: c, api: slack.New(string(token), slack.OptionAPIURL(c.api.String()), slack.OptionHTTPClient(client)),
		timeout: o.timeout(), pace: o.Pace, scrub: newScrubber(token),
	}, nil
}

// isSlack knows the hosts that the bot token belongs to.
func isSlack(host string) bool { return host == "slack.com" || host == "slack-gov.com" }

// Recipients are the channel, and the contacts who get a direct message.
func (s *slackBot) Recipients() []string {
	return append([]string{oneLine(s.cfg.channel, 100)}, s.cfg.users...)
}

// to is where a recipient's messages go.
func (s *slackBot) to(recipient string) string {
	if slices.Contains(s.cfg.users, recipient) {
		return recipient
	}
	return s.cfg.channel
}

// EditsInPlace: chat.update by the message's ts.
func (s *slackBot) EditsInPlace() {}

// Follows wants the acknowledgements: the message shows who has the alert, and loses a button.
func (s *slackBot) Follows(event alert.Event) bool { return event == alert.EventAcknowledged }

func (s *slackBot) Send(ctx context.Context, recipient string, m Message) Receipt {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var receipt Receipt
	if at, ok := parseSlackPlace(m.Prior); ok {
		receipt = s.continued(ctx, at, s.to(recipient), m)
	} else {
		receipt = s.begun(ctx, s.to(recipient), m)
	}
	receipt.Duration = time.Since(start)
	return s.scrub.receipt(receipt)
}

// slackPlace is where a message stands: what Slack calls its channel and ts.
type slackPlace struct{ channel, ts string }

func (p slackPlace) String() string { return p.channel + "/" + p.ts }

func parseSlackPlace(id string) (slackPlace, bool) {
	channel, ts, found := strings.Cut(id, "/")
	return slackPlace{channel, ts}, found && slackChannelID.MatchString(channel) && ts != ""
}

// begun posts the first message of its alerts.
func (s *slackBot) begun(ctx context.Context, to string, m Message) Receipt {
	summary, blocks := slackStanding(m)
	receipt := s.post(ctx, to, m, slack.MsgOptionText(summary, false), slack.MsgOptionBlocks(blocks...))
	receipt.Content = clip(slackText(blocks))
	return receipt
}

// continued edits the message that an earlier event began, and adds a line to its thread: the message says
// what is true now, and the thread how it came to that. A message that somebody deleted is begun anew.
func (s *slackBot) continued(ctx context.Context, at slackPlace, to string, m Message) Receipt {
	standing := m
	standing.PossibleDuplicate = false // editing twice is editing once
	summary, blocks := slackStanding(standing)
	receipt, gone := s.edit(ctx, at, m, summary, blocks)
	if gone {
		m.Prior = ""
		return s.begun(ctx, to, m)
	}
	line := slackLine(m)
	receipt.Content = clip(line + "\n\n" + slackText(blocks))
	if receipt.Class != Accepted {
		return receipt
	}
	told := s.reply(ctx, at, m, line)
	told.ExternalID, told.Content = at.String(), receipt.Content
	if told.Class == Accepted {
		told.Proof = "edited in place, and in its thread: " + told.Proof
	} else {
		told.Reason = "the message was edited, but not its thread: " + told.Reason
	}
	return told
}

func (s *slackBot) edit(ctx context.Context, at slackPlace, m Message, summary string, blocks []slack.Block) (receipt Receipt, gone bool) {
	ctx, o := withOutcome(ctx)
	_, ts, _, err := s.api.UpdateMessageContext(ctx, at.channel, at.ts,
		slack.MsgOptionText(summary, false), slack.MsgOptionBlocks(blocks...), slackMetadata(m))
	if word := slackWord(err); word == "message_not_found" || word == "cant_update_message" || word == "edit_window_closed" {
		return Receipt{}, true
	}
	return slackBotVerdict(o, err, slackPlace{at.channel, ts}), false
}

// reply adds the line to the thread. What pages people is shown in the channel as well: an edit alone rings
// no bell.
func (s *slackBot) reply(ctx context.Context, at slackPlace, m Message, line string) Receipt {
	options := []slack.MsgOption{slack.MsgOptionText(line, false), slack.MsgOptionTS(at.ts)}
	if asksForAnswer(m.Event) {
		options = append(options, slack.MsgOptionBroadcast())
	}
	return s.post(ctx, at.channel, m, options...)
}

func (s *slackBot) post(ctx context.Context, channel string, m Message, options ...slack.MsgOption) Receipt {
	if after, ok := s.pace.wait(ctx, s.cfg.api.String()+" "+channel, slackEvery, slackPatience); !ok {
		return Receipt{Class: NotSent, RetryAfter: after.Round(time.Second), Reason: "Slack takes one message a second for a channel, and others are waiting before this one; it is retried"}
	}
	if s.cfg.user != "" {
		options = append(options, slack.MsgOptionUsername(s.cfg.user))
	}
	if s.cfg.emoji != "" {
		options = append(options, slack.MsgOptionIconEmoji(s.cfg.emoji))
	}
	ctx, o := withOutcome(ctx)
	in, ts, err := s.api.PostMessageContext(ctx, channel, append(options, slackMetadata(m), slack.MsgOptionDisableLinkUnfurl())...)
	return slackBotVerdict(o, err, slackPlace{in, ts})
}

// Reconcile looks for the message of a delivery where an earlier attempt may have left it. Slack knows no idempotency
// key, so its history is asked for ours: in the thread of the message that the delivery continues, whose line follows
// the edit, and in the channel, where a message begins and where one is begun anew.
func (s *slackBot) Reconcile(ctx context.Context, recipient string, m Message) (bool, Receipt, error) {
	to := s.to(recipient)
	var failures []error
	if root, ok := parseSlackPlace(m.Prior); ok {
		line, err := s.posted(ctx, root, m)
		if line.ts != "" {
			return true, s.scrub.receipt(Receipt{Proof: "Slack holds the line of the earlier attempt: ts " + line.ts, ExternalID: root.String()}), nil
		}
		to, failures = root.channel, append(failures, err)
	}
	if !slackChannelID.MatchString(to) {
		return false, Receipt{}, fmt.Errorf("the history of Slack is asked by the channel's id, and %q is none", oneLine(to, 60))
	}
	at, err := s.posted(ctx, slackPlace{channel: to}, m)
	if at.ts != "" {
		return true, s.scrub.receipt(Receipt{Proof: "Slack's history holds the message of the earlier attempt: ts " + at.ts, ExternalID: at.String()}), nil
	}
	return false, Receipt{}, errors.Join(append(failures, err)...)
}

// posted is the message with the delivery's key in a channel, or in the thread at `in.ts`; no ts: it is not there. An
// error means that not all of it could be read.
func (s *slackBot) posted(ctx context.Context, in slackPlace, m Message) (slackPlace, error) {
	cursor := ""
	for range slackPages {
		messages, next, err := s.history(ctx, in, m.At.Add(-slackSkew), cursor)
		if word := slackWord(err); in.ts != "" && word == "thread_not_found" {
			return slackPlace{}, nil
		} else if word != "" {
			return slackPlace{}, errors.New(slackRefusal(word).Reason)
		} else if err != nil {
			return slackPlace{}, errors.New(s.scrub.receipt(Receipt{Reason: err.Error()}).Reason)
		}
		for _, message := range messages {
			if message.Metadata.EventType == slackEvent && message.Metadata.EventPayload[slackKey] == m.Key {
				return slackPlace{in.channel, message.Timestamp}, nil
			}
		}
		if cursor = next; cursor == "" {
			return slackPlace{}, nil
		}
	}
	return slackPlace{}, fmt.Errorf("it is not among %d messages since then, and there are more", slackPages*slackPerPage)
}

func (s *slackBot) history(ctx context.Context, in slackPlace, since time.Time, cursor string) (messages []slack.Message, next string, err error) {
	oldest := strconv.FormatInt(since.Unix(), 10)
	if in.ts != "" {
		messages, _, next, err = s.api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: in.channel, Timestamp: in.ts, Oldest: oldest, Cursor: cursor, Limit: slackPerPage, IncludeAllMetadata: true,
		})
		return messages, next, err
	}
	answer, err := s.api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
		ChannelID: in.channel, Oldest: oldest, Cursor: cursor, Limit: slackPerPage, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err
	}
	return answer.Messages, answer.ResponseMetaData.NextCursor, nil
}

func slackMetadata(m Message) slack.MsgOption {
	return slack.MsgOptionMetadata(slack.SlackMetadata{EventType: slackEvent, EventPayload: map[string]any{
		slackKey: m.Key, "workflow_id": m.WorkflowID, "event": string(m.Event),
	}})
}

// slackBotVerdict judges what the Web API answered. Its client gives no error for {"ok":false} without a
// word and for {}: only a ts proves that a message stands.
func slackBotVerdict(o *outcome, err error, at slackPlace) Receipt {
	receipt := classifyHTTP(o, err)
	if receipt.Class != Accepted {
		return receipt
	}
	status := receipt.Proof
	if word := slackWord(err); word != "" {
		return slackRefusal(word)
	}
	if err != nil || at.ts == "" {
		_, _, _, said := o.read()
		return Receipt{Class: Uncertain, Reason: fmt.Sprintf("%s without the id of a message (it said %q); is api_base_url really Slack's?", status, oneLine(said, 200))}
	}
	receipt.Proof, receipt.ExternalID = status+" ts "+oneLine(at.ts, 40), oneLine(at.String(), 100)
	return receipt
}

// slackWord is Slack's own word for a refusal; empty when it gave none.
func slackWord(err error) string {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		return oneLine(refused.Err, 100)
	}
	return ""
}

// slackRefusal sorts Slack's words by who can help. A word that is not listed refuses this message for good.
func slackRefusal(word string) Receipt {
	say := func(class Class, advice string) Receipt {
		return Receipt{Class: class, Reason: fmt.Sprintf("Slack says %s: %s", word, advice)}
	}
	switch word {
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org":
		return say(Transient, "it failed for now; it is retried")
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return say(NotSent, "it asks for fewer messages; it is retried")
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type", "org_login_required":
		return say(Misconfigured, "it does not accept the bot token; install the app again and renew the secret")
	case "missing_scope", "no_permission", "access_denied", "ekm_access_denied", "team_access_not_granted":
		return say(Misconfigured, "the app lacks a permission; give it the scopes chat:write, channels:history and groups:history and install it again")
	case "channel_not_found", "not_in_channel", "is_archived", "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel":
		return say(Misconfigured, "the app cannot write there; correct the field channel, or invite the app: /invite @onevault")
	}
	return say(Permanent, "it refuses this message for good")
}
