package notify

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// GSM 03.38: the alphabet of text messages. One character outside of it makes the whole message UCS-2,
// of which a segment holds 70 characters instead of 160. A character of the extension takes two places.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// gsmFold replaces what people's editors put in the place of plain characters.
var gsmFold = strings.NewReplacer(
	"`", "'", "´", "'", "‘", "'", "’", "'", "‚", "'", "‹", "'", "›", "'", "′", "'",
	"“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`, "″", `"`,
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "−", "-",
	"…", "...", "•", "*", "·", ".", "×", "x", "÷", "/", "→", "->", "←", "<-", "≥", ">=", "≤", "<=", "≠", "!=",
	"°", "deg", "µ", "u", "μ", "u", "ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "œ", "oe", "Œ", "OE", "ẞ", "SS",
	"™", "(TM)", "©", "(C)", "®", "(R)",
)

// foldGSM makes a text fit for one alphabet of text messages: what has no counterpart becomes a question
// mark, an accent that the alphabet lacks is dropped, control characters become spaces.
func foldGSM(text string) string {
	var out strings.Builder
	for _, r := range gsmFold.Replace(norm.NFC.String(strings.ToValidUTF8(text, "?"))) {
		switch {
		case inGSM(r):
			out.WriteRune(r)
		case unicode.IsSpace(r) || unicode.IsControl(r):
			out.WriteByte(' ')
		default:
			out.WriteString(withoutAccent(r))
		}
	}
	return out.String()
}

func withoutAccent(r rune) string {
	for _, base := range norm.NFKD.String(string(r)) {
		if inGSM(base) {
			return string(base)
		}
	}
	return "?"
}

func inGSM(r rune) bool {
	return strings.ContainsRune(gsmBasic, r) || strings.ContainsRune(gsmExtension, r)
}

// gsmLength counts places, as a segment does.
func gsmLength(text string) int {
	n := 0
	for _, r := range text {
		n++
		if strings.ContainsRune(gsmExtension, r) {
			n++
		}
	}
	return n
}

// cutGSM bounds a folded text to so many places.
func cutGSM(text string, limit int) string {
	if gsmLength(text) <= limit {
		return text
	}
	kept, room := 0, limit-len("...")
	for i, r := range text {
		if room -= gsmLength(string(r)); room < 0 {
			kept = i
			break
		}
	}
	return text[:kept] + "..."
}
