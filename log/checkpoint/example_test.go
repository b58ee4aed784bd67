package checkpoint_test

import (
	"fmt"
	"time"

	"github.com/musterlog/muster/log/checkpoint"
)

func Example() {
	log := newLog()
	witness := newCosigner(1)

	// The log signs, the witness cosigns.
	c := checkpoint.Checkpoint{Origin: origin, Size: 2}
	note := checkpoint.Append(log.Sign(c), witness.Cosign(c.Text(), 1_800_000_000))
	fmt.Print(string(note))

	// Everyone else knows a policy only.
	policy, err := checkpoint.ParsePolicy(fmt.Appendf(nil, "log %s\nwitness w1 %s\nquorum w1\n", log.Key(), witness.Key()))
	if err != nil {
		panic(err)
	}
	n, err := checkpoint.Parse(note)
	if err != nil {
		panic(err)
	}
	fmt.Println(policy.Verify(n, time.Unix(1_800_000_060, 0), time.Hour))
	// Output:
	// keys.example.org/log1
	// 2
	// AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	//
	// — keys.example.org/log1 Nt1fTJikGA6DJrWKTYJFfJsRC854mLyeB4gAes0AscOldqhm5NZh2oFnsP1Hw+NtZLraQ7wMBvjlTa+ulMZ/0DwVIgk=
	// — w1.example.net qZwXWgAAAABrSdIAgsjp0kWICNVbYP1eMEQwtY2Y85xCO4k5+/4l3Eokk9Qqli9ZLQd5/TJEx/JD4Enll5oyowbYGnDMgQq2z0lVCw==
	// &{[w1] unaudited} <nil>
}
