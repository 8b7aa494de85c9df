package notify

// Meaning is what the words of the ledger mean for one type of channel: how much is proved by the
// provider's acceptance, what could confirm it later, and whether a lost answer can be looked for.
type Meaning struct {
	Accepted  string `json:"accepted"`            // what ACCEPTED proves
	Confirmed string `json:"confirmed,omitempty"` // what makes it CONFIRMED; empty: nothing can
	Uncertain string `json:"uncertain"`           // what happens when the answer was lost
	// Final: the acceptance is the provider's last word by its own definition, and counts as DELIVERED. Otherwise
	// the notification is SENT until its receipt comes.
	Final bool `json:"final"`
}

// MeaningOf is what the ledger's words mean for a type of channel; docs/ledger.md tells the same.
func MeaningOf(t Type) Meaning {
	const again = "it is sent once more, flagged as a possible duplicate"
	switch t {
	case TypeEmail:
		return Meaning{
			Accepted:  "the mail server took it (SMTP 250 after DATA) and is responsible for it",
			Confirmed: "a delivery status notification by the recipient's server; a bounce makes it FAILED",
			Uncertain: "SMTP offers no way to ask, so " + again + "; both mails have the same Message-ID, by which most servers drop the second",
			Final:     true,
		}
	case TypeSlack:
		return Meaning{
			Accepted:  "Slack put it into the channel",
			Uncertain: "an incoming webhook offers no way to ask, so " + again + "; with a bot token the channel's history is looked through first",
			Final:     true,
		}
	case TypeWebhook:
		return Meaning{
			Accepted:  "the receiver answered 2xx",
			Uncertain: "there is no way to ask, so " + again + "; both requests have the same webhook-id, by which a receiver drops the second",
			Final:     true,
		}
	case TypePagerDuty:
		return Meaning{
			Accepted:  "PagerDuty took the event (HTTP 202) and pages by its own rules",
			Confirmed: "PagerDuty's webhook about the incident",
			Uncertain: "it is sent once more; the same dedup_key makes it the same incident",
			Final:     true,
		}
	case TypeSMS:
		return Meaning{
			Accepted:  "Twilio queued it (HTTP 201); nothing has reached the telephone yet",
			Confirmed: "Twilio's status callback: delivered",
			Uncertain: "Twilio's callback and its list of messages are looked at first; otherwise " + again,
		}
	case TypeVoice:
		return Meaning{
			Accepted:  "Twilio queued it (HTTP 201); nothing has reached the telephone yet",
			Confirmed: "Twilio's status callback: completed",
			Uncertain: "Twilio's callback is looked at first, since its list of calls does not say what was spoken; otherwise " + again,
		}
	}
	return Meaning{Accepted: "the provider took it", Uncertain: again, Final: true}
}
