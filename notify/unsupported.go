package notify

import (
	"context"
	"fmt"
)

// unsupported stands for channel types that the vault may hold and this build cannot send. It is a
// channel and not an error of Open, so that the missed delivery is recorded like every other one.
type unsupported struct{ cfg Config }

func (u unsupported) reason() string {
	return fmt.Sprintf("this build cannot send %s yet, so %q stays silent; add an EMAIL, SLACK or WEBHOOK channel with the same filters",
		typeName(u.cfg.Type), u.cfg.Name)
}

func typeName(t Type) string {
	switch t {
	case TypePagerDuty:
		return "PagerDuty"
	case TypeVoice:
		return "voice"
	case TypeSMS:
		return "SMS"
	default:
		return string(t)
	}
}

func (u unsupported) Recipients() []string { return []string{u.cfg.Name} }

func (u unsupported) Send(context.Context, string, Message) Receipt {
	return Receipt{Class: Misconfigured, Reason: u.reason()}
}
