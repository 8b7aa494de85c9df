package api

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"onevault/alert"
	"onevault/command"
)

// textReply is what somebody wrote back to a text message.
type textReply struct {
	Verb    command.Action // empty: Say answers, and nothing is done
	Alerts  []string       // A-7F3K; empty: those that the number was told of
	All     bool           // every one of those
	Minutes int            // of a snooze
	Say     string
	Silent  bool // a word of the carrier, which answers it itself
}

const replyHelp = "ACK 7F3K takes an alert, RESOLVE 7F3K ends it, SNOOZE 7F3K 30m, ESCALATE 7F3K. Without an id it is the one you were told of; ALL means all of them."

// maxReplyAlerts bounds how many ids a text message names.
const maxReplyAlerts = 20

var (
	replyVerbs = map[string]command.Action{
		"ACK": command.Acknowledge, "ACKNOWLEDGE": command.Acknowledge,
		"RESOLVE": command.Resolve, "CLOSE": command.Resolve,
		"SNOOZE":   command.Snooze,
		"ESCALATE": command.Escalate,
	}
	// carrierWords are answered by the carrier or by Twilio, which stop and start what comes to a number.
	carrierWords = map[string]bool{
		"STOP": true, "STOPALL": true, "UNSUBSCRIBE": true, "CANCEL": true, "END": true, "QUIT": true, "START": true, "UNSTOP": true, "YES": true,
	}
	replyID   = regexp.MustCompile(`^(?:A-)?([0-9A-TV-Z]{4,8})$`)
	replySpan = regexp.MustCompile(`^([0-9]{1,5})(M|MIN|H|D)$`)
)

// parseReply reads a text message. People write in any case, with or without "A-", and with a full stop.
func parseReply(text string) textReply {
	words := strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`.,;:!"'`, r) })
	if len(words) == 0 {
		return textReply{Say: replyHelp}
	}
	verb, known := replyVerbs[words[0]]
	switch {
	case carrierWords[words[0]] && len(words) == 1:
		return textReply{Silent: true}
	case !known:
		return textReply{Say: "Nothing was done. " + replyHelp}
	}
	reply := textReply{Verb: verb}
	for _, word := range words[1:] {
		span, id := replySpan.FindStringSubmatch(word), replyID.FindStringSubmatch(word)
		switch {
		case word == "ALL":
			reply.All = true
		case span != nil && verb == command.Snooze:
			reply.Minutes = minutesOf(span[1], span[2])
		case id != nil:
			reply.Alerts = append(reply.Alerts, "A-"+id[1])
		default:
			return textReply{Say: fmt.Sprintf("Nothing was done: %q is no alert's id like 7F3K. %s", clipWord(word), replyHelp)}
		}
	}
	switch {
	case verb == command.Snooze && (reply.Minutes < 1 || reply.Minutes > alert.MaxMinutes):
		return textReply{Say: "Nothing was done: say for how long, at most 30 days, such as SNOOZE 7F3K 30m."}
	case len(reply.Alerts) > maxReplyAlerts:
		return textReply{Say: fmt.Sprintf("Nothing was done: name at most %d alerts, or ALL.", maxReplyAlerts)}
	case len(reply.Alerts) > 0 && reply.All:
		return textReply{Say: "Nothing was done: name alerts, or write ALL."}
	}
	return reply
}

func minutesOf(count, unit string) int {
	n, err := strconv.Atoi(count)
	if err != nil { // unreachable: at most five digits
		return 0
	}
	return n * map[string]int{"M": 1, "MIN": 1, "H": 60, "D": 24 * 60}[unit]
}

func clipWord(word string) string {
	if runes := []rune(word); len(runes) > 20 {
		return string(runes[:20])
	}
	return word
}

// which asks somebody who was told of several alerts.
func which(verb command.Action, alerts []string) string {
	const shown = 5
	text := "Nothing was done: which one? " + strings.Join(alerts[:min(shown, len(alerts))], ", ")
	if more := len(alerts) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	word := map[command.Action]string{command.Acknowledge: "ACK", command.Resolve: "RESOLVE", command.Snooze: "SNOOZE", command.Escalate: "ESCALATE"}[verb]
	return fmt.Sprintf("%s. Reply %s %s, or %s ALL.", text, word, strings.TrimPrefix(alerts[0], "A-"), word)
}

// inShort is what came of a request, in few words: of many alerts their count, and one sentence.
func inShort(reply command.Reply) string {
	const told = 3
	sentences := reply.Sentences()
	if len(sentences) <= told {
		return strings.Join(sentences, " ")
	}
	changed := 0
	for _, o := range reply.Outcomes {
		if o.Changed {
			changed++
		}
	}
	return fmt.Sprintf("%d of %d alerts were changed. %s", changed, len(sentences), sentences[0])
}
