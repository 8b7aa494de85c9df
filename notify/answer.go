package notify

import "strings"

// Answer is a link by which the reader of a message answers it. Verb is what it does: acknowledge or resolve.
type Answer struct{ Verb, Label, URL string }

// HideAnswers takes the links of a message out of a text that is written down: who reads a row must not be
// able to follow them.
func (m Message) HideAnswers(text string) string {
	for _, a := range m.Answers {
		text = strings.ReplaceAll(text, a.URL[strings.LastIndexByte(a.URL, '/')+1:], hidden)
	}
	return text
}
