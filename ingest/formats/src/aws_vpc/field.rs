//! The fields of AWS VPC and Transit Gateway flow log records, versions 2 to 11, and their names.
//!
//! Source: AWS, "Flow log records" (VPC user guide) and "Transit Gateway Flow Log records".

/// How many fields are known.
pub(super) const FIELDS: usize = Field::ALL.len();

macro_rules! fields {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A field that AWS defines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field { $($variant),* }

        impl Field {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name with hyphens, as in the header of a text object.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

fields! {
    // version 2, in the order of the default format
    Version "version", AccountId "account-id", InterfaceId "interface-id", Srcaddr "srcaddr", Dstaddr "dstaddr",
    Srcport "srcport", Dstport "dstport", Protocol "protocol", Packets "packets", Bytes "bytes", Start "start",
    End "end", Action "action", LogStatus "log-status",
    // version 3
    VpcId "vpc-id", SubnetId "subnet-id", InstanceId "instance-id", TcpFlags "tcp-flags", Type "type",
    PktSrcaddr "pkt-srcaddr", PktDstaddr "pkt-dstaddr",
    // version 4
    Region "region", AzId "az-id", SublocationType "sublocation-type", SublocationId "sublocation-id",
    // version 5
    PktSrcAwsService "pkt-src-aws-service", PktDstAwsService "pkt-dst-aws-service", FlowDirection "flow-direction",
    TrafficPath "traffic-path",
    // version 6: Transit Gateway
    ResourceType "resource-type", TgwId "tgw-id", TgwAttachmentId "tgw-attachment-id",
    TgwSrcVpcAccountId "tgw-src-vpc-account-id", TgwDstVpcAccountId "tgw-dst-vpc-account-id",
    TgwSrcVpcId "tgw-src-vpc-id", TgwDstVpcId "tgw-dst-vpc-id", TgwSrcSubnetId "tgw-src-subnet-id",
    TgwDstSubnetId "tgw-dst-subnet-id", TgwSrcEni "tgw-src-eni", TgwDstEni "tgw-dst-eni", TgwSrcAzId "tgw-src-az-id",
    TgwDstAzId "tgw-dst-az-id", TgwPairAttachmentId "tgw-pair-attachment-id",
    PacketsLostNoRoute "packets-lost-no-route", PacketsLostBlackhole "packets-lost-blackhole",
    PacketsLostMtuExceeded "packets-lost-mtu-exceeded", PacketsLostTtlExpired "packets-lost-ttl-expired",
    // version 7
    EcsClusterArn "ecs-cluster-arn", EcsClusterName "ecs-cluster-name",
    EcsContainerInstanceArn "ecs-container-instance-arn", EcsContainerInstanceId "ecs-container-instance-id",
    EcsContainerId "ecs-container-id", EcsSecondContainerId "ecs-second-container-id",
    EcsServiceName "ecs-service-name", EcsTaskDefinitionArn "ecs-task-definition-arn", EcsTaskArn "ecs-task-arn",
    EcsTaskId "ecs-task-id",
    // versions 8 to 11
    RejectReason "reject-reason", ResourceId "resource-id", EncryptionStatus "encryption-status",
    InterfaceType "interface-type",
}

impl Field {
    /// The field of a name with hyphens.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// Whether only Transit Gateway records have it.
    pub(super) fn is_transit_gateway(self) -> bool {
        self.name().starts_with("tgw-") || self.name().starts_with("packets-lost-")
    }

    /// Whether a value that is none (such as the field's own name in a header line) is refused.
    pub(super) fn is_checked(self) -> bool {
        matches!(
            self,
            Self::Srcaddr
                | Self::Dstaddr
                | Self::Srcport
                | Self::Dstport
                | Self::Protocol
                | Self::Packets
                | Self::Bytes
                | Self::Start
                | Self::End
                | Self::Action
                | Self::LogStatus
                | Self::TcpFlags
                | Self::PktSrcaddr
                | Self::PktDstaddr
        ) || self.is_lost_counter()
    }

    /// Whether it counts packets that a Transit Gateway lost.
    pub(super) fn is_lost_counter(self) -> bool {
        self.name().starts_with("packets-lost-")
    }

    /// Whether its value goes to `unmapped` whenever it is there. The others have a column, are implied by columns
    /// (version, type, log-status), or are kept only in some cases.
    pub(super) fn is_unmapped(self) -> bool {
        matches!(
            self,
            Self::SubnetId
                | Self::AzId
                | Self::SublocationType
                | Self::SublocationId
                | Self::PktSrcAwsService
                | Self::PktDstAwsService
                | Self::TrafficPath
                | Self::ResourceType
                | Self::TgwSrcVpcAccountId
                | Self::TgwDstVpcAccountId
                | Self::TgwSrcSubnetId
                | Self::TgwDstSubnetId
                | Self::TgwSrcEni
                | Self::TgwDstEni
                | Self::TgwSrcAzId
                | Self::TgwDstAzId
                | Self::TgwPairAttachmentId
                | Self::InterfaceType
        ) || self.name().starts_with("ecs-")
    }
}
