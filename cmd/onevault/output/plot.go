package output

import (
	"math"
	"slices"
	"strings"
)

// Point is one point of a plot.
type Point struct{ X, Y float64 }

// Curve is one line of a plot, through its points in their order.
type Curve struct {
	Points []Point
	Style  Style
	Mark   byte // what draws it in plain text
	Dotted bool
}

// Plot draws curves over each other, the first in front. The axes go from the smallest to the largest value.
type Plot struct {
	Curves        []Curve
	Width, Height int // of the area, in characters
	XLabel        func(float64) string
	YLabel        func(float64) string
}

// A character of braille holds 2 by 4 dots.
const (
	dotsAcross, dotsDown = 2, 4
	braille              = 0x2800
)

// brailleDots are the bits of the dots of a character, by row and column.
var brailleDots = [dotsDown][dotsAcross]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// canvas is a grid of dots; each character has the style and the mark of the curve in front.
type canvas struct {
	plot                   Plot
	left, right, low, high float64
	dots                   [][]rune // by line and column of characters
	front                  [][]int  // the curve in front, -1: none
}

// Draw writes a plot: in dots for a terminal, plain in its marks.
func (p Printer) Draw(plot Plot, plain bool) error {
	c := newCanvas(plot)
	for i := len(plot.Curves) - 1; i >= 0; i-- {
		c.draw(i)
	}
	return p.write(c.text(p, plain))
}

func newCanvas(plot Plot) *canvas {
	c := &canvas{plot: plot, left: math.Inf(1), right: math.Inf(-1), low: math.Inf(1), high: math.Inf(-1)}
	for _, curve := range plot.Curves {
		for _, at := range curve.Points {
			c.left, c.right = min(c.left, at.X), max(c.right, at.X)
			c.low, c.high = min(c.low, at.Y), max(c.high, at.Y)
		}
	}
	// What does not change has room above and below it.
	if span := c.high - c.low; span <= math.Abs(c.high)*1e-9 {
		room := max(math.Abs(c.high)*0.1, 1)
		c.low, c.high = c.low-min(room, max(c.low, 0)), c.high+room
	}
	if c.right <= c.left {
		c.left, c.right = c.left-1, c.right+1
	}
	for range plot.Height {
		c.dots = append(c.dots, make([]rune, plot.Width))
		c.front = append(c.front, slices.Repeat([]int{-1}, plot.Width))
	}
	return c
}

// dot is where a point lies, in dots from the upper left corner.
func (c *canvas) dot(at Point) (x, y float64) {
	across, down := float64(c.plot.Width*dotsAcross-1), float64(c.plot.Height*dotsDown-1)
	return (at.X - c.left) / (c.right - c.left) * across, (c.high - at.Y) / (c.high - c.low) * down
}

func (c *canvas) draw(i int) {
	curve, drawn := c.plot.Curves[i], 0
	for n, at := range curve.Points {
		if n == 0 {
			x, y := c.dot(at)
			c.set(i, x, y)
			continue
		}
		x0, y0 := c.dot(curve.Points[n-1])
		x1, y1 := c.dot(at)
		steps := int(math.Ceil(max(math.Abs(x1-x0), math.Abs(y1-y0), 1)))
		for s := 1; s <= steps; s++ {
			drawn++
			if part := float64(s) / float64(steps); !curve.Dotted || drawn%4 < 1 {
				c.set(i, x0+(x1-x0)*part, y0+(y1-y0)*part)
			}
		}
	}
}

func (c *canvas) set(curve int, x, y float64) {
	column, line := int(math.Round(x)), int(math.Round(y))
	c.dots[line/dotsDown][column/dotsAcross] |= brailleDots[line%dotsDown][column%dotsAcross]
	c.front[line/dotsDown][column/dotsAcross] = curve
}

func (c *canvas) text(p Printer, plain bool) string {
	labels := make([]string, c.plot.Height)
	width := 0
	for line := range labels {
		// A label on every fourth line, and on the last.
		if line%4 == 0 || line == c.plot.Height-1 {
			y := c.high - (c.high-c.low)*float64(line)/float64(max(c.plot.Height-1, 1))
			labels[line] = c.plot.YLabel(y)
			width = max(width, displayWidth(labels[line]))
		}
	}
	axis, tick, corner, bottom := "│", "┤", "└", "─"
	if plain {
		axis, tick, corner, bottom = "|", "+", "+", "-"
	}
	var text strings.Builder
	for line, label := range labels {
		edge := axis
		if label != "" {
			edge = tick
		}
		text.WriteString(strings.Repeat(" ", width-displayWidth(label)) + label + " " + edge)
		text.WriteString(strings.TrimRight(c.line(p, line, plain), " ") + "\n")
	}
	text.WriteString(strings.Repeat(" ", width+1) + corner + strings.Repeat(bottom, c.plot.Width) + "\n")
	text.WriteString(strings.Repeat(" ", width+2) + c.dates() + "\n")
	return text.String()
}

func (c *canvas) line(p Printer, line int, plain bool) string {
	var text strings.Builder
	for column, dots := range c.dots[line] {
		if dots == 0 {
			text.WriteByte(' ')
			continue
		}
		curve := c.plot.Curves[c.front[line][column]]
		if plain {
			text.WriteByte(curve.Mark)
			continue
		}
		text.WriteString(p.paint(Cell{Text: string(braille + dots), Style: curve.Style}))
	}
	return text.String()
}

// dates are the labels below: at the left, in the middle and at the right.
func (c *canvas) dates() string {
	left, right := c.plot.XLabel(c.left), c.plot.XLabel(c.right)
	middle := c.plot.XLabel((c.left + c.right) / 2)
	room := c.plot.Width - displayWidth(left) - displayWidth(middle) - displayWidth(right)
	if room < 4 {
		return left + strings.Repeat(" ", max(c.plot.Width-displayWidth(left)-displayWidth(right), 1)) + right
	}
	before := (c.plot.Width-displayWidth(middle))/2 - displayWidth(left)
	return left + strings.Repeat(" ", before) + middle + strings.Repeat(" ", room-before) + right
}

var (
	sparks      = []rune("▁▂▃▄▅▆▇█")
	plainSparks = []rune("_.-=+*#")
)

// Sparkline draws values in one line of at most so many characters, from the smallest to the largest.
func Sparkline(values []float64, width int, plain bool) string {
	if len(values) == 0 {
		return ""
	}
	ramp := sparks
	if plain {
		ramp = plainSparks
	}
	low, high := slices.Min(values), slices.Max(values)
	cells := min(width, len(values))
	var text strings.Builder
	for cell := range cells {
		part := values[cell*len(values)/cells : (cell+1)*len(values)/cells]
		sum := 0.0
		for _, v := range part {
			sum += v
		}
		height := 0.0
		if high > low {
			height = (sum/float64(len(part)) - low) / (high - low)
		}
		text.WriteRune(ramp[int(math.Round(height*float64(len(ramp)-1)))])
	}
	return text.String()
}
