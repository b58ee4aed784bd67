package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type point struct{ x, y float64 }

// line is one of a chart's, named at its right end.
type line struct {
	name   string
	points []point
	dots   bool // each point was measured by itself
}

// chart is lines over the log's size, which is drawn by its logarithm.
type chart struct {
	file, title, y string
	lines          []line
}

// Of the chart, in pixels: the plot lies between the margins.
const (
	chartWidth, chartHeight  = 760, 400
	left, right, top, bottom = 70, 190, 50, 60
)

// colours that people with any kind of colour vision tell apart, on white and
// on black (Okabe and Ito).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7"}

const style = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.paper { fill: #ffffff }
.grid { stroke: #d0d7de; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .paper { fill: #0d1117 } .grid { stroke: #30363d }
}
</style>
`

// draw writes the chart as SVG; a chart without points is not drawn.
func (c *chart) draw(dir string) error {
	lines := slices.DeleteFunc(slices.Clone(c.lines), func(l line) bool { return len(l.points) == 0 })
	if len(lines) == 0 {
		return nil
	}
	minX, maxX, maxY := math.Inf(1), 0.0, 0.0
	for _, l := range lines {
		for _, p := range l.points {
			minX, maxX, maxY = min(minX, p.x), max(maxX, p.x), max(maxY, p.y)
		}
	}
	minX = math.Pow10(int(math.Floor(math.Log10(minX))))
	maxX = max(maxX, 2*minX)
	step := tickStep(maxY)
	maxY = step * math.Ceil(maxY/step)
	x := func(v float64) float64 {
		return left + (chartWidth-left-right)*math.Log(v/minX)/math.Log(maxX/minX)
	}
	y := func(v float64) float64 { return chartHeight - bottom - (chartHeight-top-bottom)*v/maxY }

	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s", chartWidth, chartHeight, html.EscapeString(c.title), style)
	fmt.Fprintf(&s, `<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n", chartWidth, chartHeight)
	text := func(class, anchor string, x, y float64, t string) {
		fmt.Fprintf(&s, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(t))
	}
	text("title", "start", left, 28, c.title)
	for v := 0.0; v <= maxY*1.001; v += step {
		fmt.Fprintf(&s, `<path class="grid" d="M%d %.1fH%d"/>`+"\n", left, y(v), chartWidth-right)
		text("", "end", left-8, y(v)+4, fmt.Sprintf("%g", math.Round(v*1e6)/1e6))
	}
	for decade := minX; decade <= maxX*1.001; decade *= 10 {
		for _, times := range []float64{1, 3} {
			if v := decade * times; v <= maxX*1.001 {
				fmt.Fprintf(&s, `<path class="grid" d="M%.1f %dV%d"/>`+"\n", x(v), top, chartHeight-bottom)
				text("", "middle", x(v), chartHeight-bottom+20, size(int(v)))
			}
		}
	}
	text("", "middle", (left+chartWidth-right)/2, chartHeight-16, "events in the log")
	fmt.Fprintf(&s, `<text text-anchor="middle" transform="translate(20 %d) rotate(-90)">%s</text>`+"\n", (top+chartHeight-bottom)/2, html.EscapeString(c.y))
	labels := spread(lines, y)
	for i, l := range lines {
		drawLine(&s, &l, colours[i%len(colours)], x, y)
		last := l.points[len(l.points)-1]
		fmt.Fprintf(&s, `<path stroke="%s" stroke-opacity=".6" fill="none" d="M%.1f %.1fL%d %.1f"/>`+"\n", colours[i%len(colours)], x(last.x)+4, y(last.y), chartWidth-right+14, labels[i])
		text("", "start", chartWidth-right+18, labels[i]+4, l.name)
	}
	s.WriteString("</svg>\n")
	return os.WriteFile(filepath.Join(dir, c.file), []byte(s.String()), 0o644)
}

func drawLine(s *strings.Builder, l *line, colour string, x, y func(float64) float64) {
	var path []string
	for _, p := range l.points {
		path = append(path, fmt.Sprintf("%.1f %.1f", x(p.x), y(p.y)))
		if l.dots {
			fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x(p.x), y(p.y), colour)
		}
	}
	fmt.Fprintf(s, `<path stroke="%s" stroke-width="2" stroke-linejoin="round" fill="none" d="M%s"/>`+"\n", colour, strings.Join(path, "L"))
}

// spread puts the lines' names beside their ends, 18 pixels apart at least.
func spread(lines []line, y func(float64) float64) []float64 {
	at := make([]float64, len(lines))
	order := make([]int, len(lines))
	for i, l := range lines {
		at[i], order[i] = y(l.points[len(l.points)-1].y), i
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, at[a]-at[b])) })
	for i := 1; i < len(order); i++ {
		at[order[i]] = max(at[order[i]], at[order[i-1]]+18)
	}
	// What was pushed below the plot goes up again.
	limit := float64(chartHeight - bottom)
	for i := len(order) - 1; i >= 0; i-- {
		at[order[i]] = min(at[order[i]], limit)
		limit = at[order[i]] - 18
	}
	return at
}

// tickStep divides a scale into four to ten round steps.
func tickStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	step := math.Pow10(int(math.Floor(math.Log10(most))))
	for _, part := range []float64{0.1, 0.2, 0.5, 1} {
		if most/(step*part) <= 10 {
			return step * part
		}
	}
	return step
}
