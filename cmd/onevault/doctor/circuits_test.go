package doctor

import (
	"testing"
	"time"

	"onevault/vault"
)

func TestJudgeCircuits_ADestinationThatIsLeftAloneIsAFailureWithItsReason(t *testing.T) {
	t.Parallel()
	expect(t, judgeCircuits(nil, now), OK, "no destination")
	found := judgeCircuits([]vault.RefusedChannel{{Channel: "OPS", Refused: 3, LastAt: now.Add(-time.Minute), Reason: "circuit open since noon"}}, now)
	expect(t, found, Fail, "OPS: 3 attempts were not made, the last 1m0s ago: circuit open since noon")
	expect(t, found, Fail, "onevault channel test OPS")
}
