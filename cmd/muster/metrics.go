package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/musterlog/muster/log"
)

// metrics counts what log.Metrics and server.Metrics hear. Labels come from
// fixed lists, and cosigners from the policy: nobody outside can make new ones.
type metrics struct {
	registry *prometheus.Registry

	events, failed prometheus.Counter
	purged, kept   prometheus.Counter
	epochs         prometheus.Histogram
	size, epoch    prometheus.Gauge
	published      prometheus.Gauge
	cosigned       *prometheus.CounterVec
	requests       *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		events:   counter("muster_events_sealed_total", "Events that were stored and signed since the start."),
		failed:   counter("muster_events_failed_total", "Events of epochs that failed and of which nothing was kept; their senders were told to come again."),
		purged:   counter("muster_erasures_purged_total", "Erasures whose content has left the store's files since the start."),
		kept:     counter("muster_purges_failed_total", "Purges that failed: erased content is still in the store's files, and removing it is tried again."),
		epochs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "muster_epoch_seal_seconds", Help: "Time from an epoch's cut until it was stored and signed.", Buckets: buckets,
		}),
		size:      gauge("muster_published_size", "Leaves under the newest published checkpoint."),
		epoch:     gauge("muster_published_epoch", "Number of the newest published epoch."),
		published: gauge("muster_published_time_seconds", "When the newest published epoch was made, in Unix seconds. It ages when the log or its cosigners' quorum stands still."),
		cosigned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muster_cosigner_answers_total", Help: "Answers of each cosigner of the policy: ok, or failed.",
		}, []string{"cosigner", "outcome"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "muster_request_seconds", Help: "Requests by endpoint and outcome, and the time until they were answered.", Buckets: buckets,
		}, []string{"endpoint", "outcome"}),
	}
	info := gauge("muster_build_info", "1, with the version.")
	info.Set(1)
	prometheus.WrapRegistererWith(prometheus.Labels{"version": version()}, m.registry).MustRegister(info)
	m.registry.MustRegister(m.events, m.failed, m.purged, m.kept, m.epochs, m.size, m.epoch, m.published, m.cosigned, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds what is asked of a log when somebody looks.
func (m *metrics) watch(l *log.Log) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "muster_events_waiting", Help: "Events that wait for their epoch.",
	}, func() float64 { return float64(l.Waiting()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "muster_read_only", Help: "1 if the log must not sign and only serves reads; its own log says why.",
	}, func() float64 {
		if l.ReadOnly() != nil {
			return 1
		}
		return 0
	}))
}

// buckets reach from a lookup to the longest call.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func (m *metrics) Sealed(events int, took time.Duration) {
	m.events.Add(float64(events))
	m.epochs.Observe(took.Seconds())
}

func (m *metrics) Failed(events int) { m.failed.Add(float64(events)) }

func (m *metrics) Purged(erasures int, err error) {
	m.purged.Add(float64(erasures))
	if err != nil {
		m.kept.Inc()
	}
}

func (m *metrics) Published(size, epoch uint64, at time.Time) {
	m.size.Set(float64(size))
	m.epoch.Set(float64(epoch))
	m.published.Set(float64(at.UnixMilli()) / 1000)
}

func (m *metrics) Cosigned(name string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.cosigned.WithLabelValues(name, outcome).Inc()
}

func (m *metrics) Answered(endpoint, outcome string, took time.Duration) {
	m.requests.WithLabelValues(endpoint, outcome).Observe(took.Seconds())
}
