package routing

// Point is a place in the code between two steps, where a crash would be worst:
// the first is done, and nobody knows. scripts/chaos has nodes kill themselves there.
type Point string

// The points, in the order of a request's life.
const (
	PointClaimed  Point = "claimed"  // the table has a request under an idempotency key, and Kafka was not asked yet
	PointProduced Point = "produced" // Kafka has a request, and its client has not been told
	PointArrived  Point = "arrived"  // Kafka has spoken on a request under an idempotency key, and the table was not told
	PointConsumed Point = "consumed" // replies were read, and are not handed to the router yet
	PointRelayed  Point = "relayed"  // a reply is in another node's inbox, and still counts as not done
	PointHeld     Point = "held"     // a reply is in a held list, and still counts as not done
	PointResumed  Point = "resumed"  // a session is this node's, and its client has not been welcomed
	PointDraining Point = "draining" // clients were told to go, and some have not gone
	PointDrained  Point = "drained"  // all clients are gone, and nothing is committed or left
	PointDeparted Point = "departed" // a node is known to be dead, and its consumer group is not told
	PointBuried   Point = "buried"   // a dead node's inbox was routed again, and is still there
)
