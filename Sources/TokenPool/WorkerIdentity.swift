import CouchDocument

/// Who claims: the worker's name in leases, its machine, and the batch job that it runs in.
public struct WorkerIdentity: Hashable, Sendable {
    /// Unique among the workers of a pool.
    public let name: String
    /// The machine, as PiCaS writes it into `hostname`.
    public let hostname: String
    /// The field that names the batch job, as PiCaS calls it, and the job's id.
    public let job: JobIdentifier?

    /// A batch job's id under the field in which PiCaS keeps it.
    public struct JobIdentifier: Hashable, Sendable {
        /// Such as `slurm_job_id`.
        public let field: String
        /// Such as `4711_3`; null where PiCaS writes null.
        public let value: JSON

        /// An identifier of these parts.
        public init(field: String, value: JSON) {
            self.field = field
            self.value = value
        }

        /// The fields that a claim may set and that go when a token is put back.
        public static let fields = ["dirac_job_id", "wms_job_id", "cream_job_id", "pbs_job_id", "slurm_job_id"]

        /// Finds the job in a batch system's environment variables; the first that is set counts, in PiCaS' order.
        public init?(environment: [String: String]) {
            if let id = environment["DIRACJOBID"] {
                self.init(field: "dirac_job_id", value: .string(id))
            } else if let id = environment["GLITE_WMS_JOBID"] {
                self.init(field: "wms_job_id", value: id.hasPrefix("http") ? .string(id) : .null)
            } else if let id = environment["CREAM_JOBID"] {
                self.init(field: "cream_job_id", value: .string(id))
            } else if let id = environment["PBS_JOBID"] {
                self.init(field: "pbs_job_id", value: .string(id))
            } else if let id = environment["SLURM_ARRAY_JOB_ID"] {
                let task = environment["SLURM_ARRAY_TASK_ID"] ?? ""
                self.init(field: "slurm_job_id", value: .string("\(id)_\(task)"))
            } else if let id = environment["SLURM_JOB_ID"] {
                self.init(field: "slurm_job_id", value: .string(id))
            } else {
                return nil
            }
        }
    }

    /// A worker of these parts.
    public init(name: String, hostname: String, job: JobIdentifier? = nil) {
        self.name = name
        self.hostname = hostname
        self.job = job
    }

    /// A worker that is this process: its name is made of the machine, the process number and a random tail.
    public init(hostname: String, processID: Int, environment: [String: String]) {
        let tail = String(UInt32.random(in: .min ... .max), radix: 36)
        self.init(
            name: "\(hostname):\(processID):\(tail)", hostname: hostname, job: JobIdentifier(environment: environment))
    }
}
