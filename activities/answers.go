package activities

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"time"

	"onevault/alert"
	"onevault/link"
	"onevault/notify"
)

// linkLifetime is how long a link answers. Whoever comes later finds what stands, and the command line.
const linkLifetime = 72 * time.Hour

// Links make the links by which a mail's reader, or the receiver of a webhook, answers it. They are made when it is
// sent, for the one who receives it: a link is a secret, and no workflow's history may hold it.
type Links struct {
	PublicURL *url.URL
	Keys      link.Keys
}

// answers are the links of a message to one recipient; none where there is nothing to answer, and none where
// there are more alerts than a mail shows by name: nobody should answer what he was not shown.
func (l *Links) answers(in SendNotificationInput) ([]notify.Answer, error) {
	kind := notify.Type(in.Channel.Type)
	if l == nil || kind != notify.TypeEmail && kind != notify.TypeWebhook || len(in.Message.Alerts) > link.MaxAlerts {
		return nil, nil
	}
	switch in.Message.Event {
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered:
	case alert.EventResolved, alert.EventAcknowledged, alert.EventTest, alert.EventSilenceEnding, alert.EventDigest:
		return nil, nil
	}
	claims := link.Claims{Recipient: in.Recipient, Message: in.Message.Key, Expires: in.Message.At.Add(linkLifetime)}
	if kind == notify.TypeWebhook { // its address is no name, and part of it may be a secret
		claims.Recipient = in.Channel.Key
	}
	for _, a := range in.Message.Alerts {
		claims.Alerts = append(claims.Alerts, sha256.Sum256([]byte(a.Key)))
	}
	var answers []notify.Answer
	for _, verb := range []struct{ update, label string }{{alert.UpdateAcknowledge, "Acknowledge"}, {alert.UpdateResolve, "Resolve"}} {
		claims.Verb = verb.update
		token, err := l.Keys.Sign(claims)
		if err != nil {
			return nil, fmt.Errorf("link to %s: %w", verb.update, err)
		}
		answers = append(answers, notify.Answer{Verb: verb.update, Label: verb.label, URL: l.PublicURL.JoinPath("links", token).String()})
	}
	return answers, nil
}

// withoutAnswers takes the links out of what is written down of an attempt: a server may quote what it was sent.
func withoutAnswers(r notify.Receipt, m notify.Message) notify.Receipt {
	r.Proof, r.Reason, r.Content = m.HideAnswers(r.Proof), m.HideAnswers(r.Reason), m.HideAnswers(r.Content)
	return r
}
