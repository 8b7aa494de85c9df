package alert

// SayOnce leaves definition and channels to the first of the firings that follow each other under one version of the
// definition: a storm of thousands would repeat them thousands of times.
func SayOnce(items []Transition) {
	var said *Definition
	for i := range items {
		t := &items[i]
		if t.Definition == nil {
			continue
		}
		if said != nil && said.Version.Equal(t.Definition.Version) {
			t.Definition, t.Channels, t.Named = nil, nil, nil
			continue
		}
		said = t.Definition
	}
}

// Complete gives each firing what SayOnce left to one before it. The workflow does so before it passes over what it
// has heard already: that may be the very one that brought the definition.
func Complete(items []Transition) {
	var said Transition
	for i := range items {
		t := &items[i]
		switch {
		case t.Definition != nil:
			said = *t
		case t.Kind == TransitionFired:
			t.Definition, t.Channels, t.Named = said.Definition, said.Channels, said.Named
		}
	}
}
