// Package crash has the named points at which tests kill the process, between every two steps that change something durable: what is there after
// a crash has to be right, whichever the point. Production code calls At and nothing else. In a program that was built without the tag faults it does
// nothing; with it, it kills the process if it was ordered to.
package crash

// Point names a place between two steps.
type Point string

// The points, in the order of a job's life. Points tells what is done before and after each.
const (
	LockHeld          Point = "lock-held"
	RecordStaged      Point = "record-staged"
	RecordPlaced      Point = "record-placed"
	ObjectNoted       Point = "object-noted"
	ObjectMade        Point = "object-made"
	HelperStarted     Point = "helper-started"
	SourcesRead       Point = "sources-read"
	CachesRestored    Point = "caches-restored"
	NonceWritten      Point = "nonce-written"
	BuildStarted      Point = "build-started"
	ScriptEnded       Point = "script-ended"
	BuildEnded        Point = "build-ended"
	CachesSaved       Point = "caches-saved"
	StageNoted        Point = "stage-noted"
	EndNoted          Point = "end-noted"
	RowEntered        Point = "row-entered"
	ContainersRemoved Point = "containers-removed"
	ObjectsRemoved    Point = "objects-removed"
	CachesAbandoned   Point = "caches-abandoned"
	FolderBuried      Point = "folder-buried"
	DeadRemoved       Point = "dead-removed"
	LostEntered       Point = "lost-entered"
	ServeBegun        Point = "serve-begun"
	HostReaped        Point = "host-reaped"
	HostTidied        Point = "host-tidied"
	FileStaged        Point = "file-staged"
	PlanLeased        Point = "plan-leased"
	LayerFetched      Point = "layer-fetched"
	LayerPlaced       Point = "layer-placed"
	MountPointMade    Point = "mount-point-made"
	LayerMounted      Point = "layer-mounted"
	UpperMade         Point = "upper-made"
	OverlayMounted    Point = "overlay-mounted"
	WatchBegun        Point = "watch-begun"
	WatchEnded        Point = "watch-ended"
	LayerStaged       Point = "layer-staged"
	LayerStored       Point = "layer-stored"
	EntryWritten      Point = "entry-written"
	DamagedUnnamed    Point = "damaged-unnamed"
	CachesUnmounted   Point = "caches-unmounted"
	ObjectStaged      Point = "object-staged"
	ObjectSent        Point = "object-sent"
	MarkTaken         Point = "mark-taken"
	MergeWritten      Point = "merge-written"
	ObjectForgotten   Point = "object-forgotten"
	EntriesPruned     Point = "entries-pruned"
	DeadNoted         Point = "dead-noted"
	LayersPruned      Point = "layers-pruned"
	LayerUnmounted    Point = "layer-unmounted"
	LayerBuried       Point = "layer-buried"
	SalvageFolderMade Point = "salvage-folder-made"
	SalvageMounted    Point = "salvage-mounted"
	SalvageSaved      Point = "salvage-saved"
	LedgerMade        Point = "ledger-made"
	SchemaStepped     Point = "schema-stepped"
	RowWritten        Point = "row-written"
	RowsTrimmed       Point = "rows-trimmed"
)

// Step is a point and what it is between.
type Step struct {
	Point  Point
	Of     string // what is being done
	After  string // what is done
	Before string // what is not
}

// Points are all there are.
func Points() []Step {
	return []Step{
		{LockHeld, "prepare", "the lock of all jobs' records is held", "whatever is dead is reaped"},
		{RecordStaged, "prepare", "the record is written under a staging name", "it is renamed into place"},
		{RecordPlaced, "prepare", "the record is in its place", "the folders that are mounted are made"},
		{ObjectNoted, "prepare, run", "a network, container or probe is noted", "Docker makes it"},
		{ObjectMade, "prepare, run", "Docker has made it", "its id is noted"},
		{HelperStarted, "prepare", "the helper container runs", "it is checked for what scripts call"},
		{SourcesRead, "run", "the checkout has its file times and its graph was read", "what was found is written down"},
		{CachesRestored, "run", "the caches are mounted", "the record says so"},
		{NonceWritten, "run", "a file that Docker has to see is in the mount", "it was looked for and is removed"},
		{BuildStarted, "run", "the build container runs", "it is given the script"},
		{ScriptEnded, "run", "the script has ended", "what it did is noted"},
		{BuildEnded, "run", "the build container has ended", "the caches are saved"},
		{CachesSaved, "run", "the caches are saved and unmounted", "what was saved is sent"},
		{StageNoted, "run", "the result of a stage is noted", "the stage ends"},
		{EndNoted, "cleanup", "the job is noted as ended", "it is in the ledger"},
		{RowEntered, "cleanup", "the job is in the ledger", "its containers are removed"},
		{ContainersRemoved, "cleanup, reap", "the containers of a job are removed", "its networks and volumes are"},
		{ObjectsRemoved, "cleanup", "nothing of the job is left in Docker", "its caches are put aside"},
		{CachesAbandoned, "cleanup, reap", "the caches of a job are unmounted and put aside", "its folder is"},
		{FolderBuried, "cleanup, reap", "the job's folder is renamed to a dead name", "it is deleted"},
		{DeadRemoved, "reap", "nothing of dead jobs is left in Docker", "they are in the ledger"},
		{LostEntered, "reap", "a dead job is in the ledger", "its folder is removed"},
		{ServeBegun, "serve", "serve holds its lock and answers", "the first round"},
		{HostReaped, "serve, prune", "dead jobs are reaped", "what they made is saved"},
		{HostTidied, "serve, prune", "the host tier is tidied up", "the store is tended"},
		{FileStaged, "cache", "a plan, what a watch saw or a mark is written beside its place", "it is renamed into place"},
		{PlanLeased, "restore", "the plan, which is the lease on layers, is in its place", "the layers are fetched"},
		{LayerFetched, "restore", "a layer is here under a staging name", "its digest is checked"},
		{LayerPlaced, "restore, save", "a layer file is in its place", "its folder is flushed"},
		{MountPointMade, "restore", "a layer's mount point is made", "the layer is mounted"},
		{LayerMounted, "restore", "a layer is mounted", "it is looked into"},
		{UpperMade, "restore", "the folders of an overlay are made", "it is mounted"},
		{OverlayMounted, "restore", "the overlay is mounted", "its content is prepared"},
		{WatchBegun, "watch", "the begin of a watch is noted", "opens are watched"},
		{WatchEnded, "watch", "what was opened is written down", "the note of the begin is removed"},
		{LayerStaged, "save, compaction", "a layer is written under a staging name", "it is renamed into place"},
		{LayerStored, "save, compaction", "the layer is in the store, or the spool", "the entry names it"},
		{EntryWritten, "save", "the entry is in the store, or the spool", "the pool is marked as grown"},
		{DamagedUnnamed, "save", "no entry names a damaged layer", "it is deleted from the store"},
		{CachesUnmounted, "save", "the caches are unmounted", "they are removed"},
		{ObjectStaged, "spool, directory", "an object is written under a staging name", "it is renamed into place"},
		{ObjectSent, "spool", "an object is in the far store", "it is removed from the spool"},
		{MarkTaken, "compaction", "the mark of a pool that grew is taken", "the pool is compacted"},
		{MergeWritten, "compaction", "the entry of the new layer is written", "what it replaces is deleted"},
		{ObjectForgotten, "compaction", "an entry or a layer that is not needed any more is deleted", "the next one is"},
		{EntriesPruned, "prune", "old entries are deleted from the store", "the others are read"},
		{DeadNoted, "prune", "since when nothing names a layer is noted", "layers that nothing has named for a day are deleted"},
		{LayersPruned, "prune", "layers are deleted from the store", "their notes are"},
		{LayerUnmounted, "housekeeping, prune", "a layer is unmounted", "its mount point is removed"},
		{LayerBuried, "housekeeping, prune", "a layer file is renamed to a dead name", "it is deleted"},
		{SalvageFolderMade, "salvage", "a folder for what a killed job made is there", "it is renamed into it"},
		{SalvageMounted, "salvage", "what a killed job made is mounted again", "it is saved"},
		{SalvageSaved, "salvage", "what a killed job made is saved", "it is removed"},
		{LedgerMade, "ledger", "the ledger is an empty file", "it has a schema"},
		{SchemaStepped, "ledger", "a step of a migration is done", "all of it is committed"},
		{RowWritten, "ledger", "a change is written", "it is committed"},
		{RowsTrimmed, "ledger", "the oldest jobs are deleted", "their space is given back"},
	}
}
